import type { RouteInput } from '../../protocol/api.ts';
import type { SendResult } from '../../protocol/schemas/turn.ts';
import { CwmError, isCwmError } from '../../protocol/errors.ts';
import { parseSessionId } from '../../protocol/ids.ts';
import type { ContextFile, Message, MessagePart, Picture, Session } from '../../protocol/schemas/session.ts';
import { maxAnswerTokens } from '../../protocol/schemas/sessionSettings.ts';
import type { CoreContext } from '../context.ts';
import { parsePictures } from '../prompt/pictures.ts';
import { requireWellFormed } from '../prompt/wellFormed.ts';
import { memoriesFor } from '../memory/notes.ts';
import { recalledFor } from '../memory/search/prePass.ts';
import type { Reporter } from '../ports/reporter.ts';
import { converse } from './converse.ts';
import type { GenerateOptions } from './generate.ts';
import { storeAnswer } from './storeAnswer.ts';
import { newMessage, type Turn } from './turn.ts';
import { beginTurn, withTurn } from './turns.ts';

const defaultAnswerTokens = 256;

/**
 * Sends a message. The engine gets the whole conversation and answers, and the store gets both messages. Until then the user's text is
 * the session's draft, so a failure, an abort or a crash loses no word of it.
 *
 * @throws CwmError InvalidSessionId, InvalidParameter, SessionNotFound, InvalidTransition (a turn is under way), AlreadyFrozen (frozen), ModelMismatch, ContextTooLong, and the engine's.
 */
export async function send(
  core: CoreContext,
  input: RouteInput<'send'>,
  signal: AbortSignal,
  reporter: Reporter,
): Promise<SendResult> {
  const id = parseSessionId(input.session);
  requireMessage(input.text);
  requireSampling(input);
  const media = parsePictures(input.images);
  return withTurn(core, id, signal, (session, signal) =>
    answer(core, session, { text: input.text, media, input }, signal, reporter),
  );
}

/** @throws CwmError as {@link send}, before anything is done. */
export function checkSend(core: CoreContext, { engine }: Session, input: RouteInput<'send'>): void {
  requireMessage(input.text);
  requireAnswerable(core, engine, input);
  parsePictures(input.images);
}

/** @throws CwmError InvalidParameter for settings of an answer, or a model server, that cannot be. */
export function requireAnswerable(core: CoreContext, engine: string, input: Omit<AnswerInput, 'continueFrom'>): void {
  requireSampling(input);
  core.engines.get(input.engine ?? engine);
}

type AnswerInput = Pick<RouteInput<'send'>, 'maxTokens' | 'temperature' | 'continueFrom' | 'toolChoice' | 'engine'>;

interface Asked {
  readonly text: string;
  /** Default: none. */
  readonly media?: readonly Picture[];
  /** Of the message in whose place it stands. Default: none. */
  readonly parts?: readonly MessagePart[];
  /** One of the pool, which is not stored again; default: a new one of this text. */
  readonly message?: Message;
  readonly input: AnswerInput;
}

/** One answer, for a caller that has the turn. */
export async function answer(
  core: CoreContext,
  session: Session,
  { text, media = [], parts = [], message: asked, input }: Asked,
  signal: AbortSignal,
  reporter: Reporter,
): Promise<SendResult> {
  const started = core.clock.elapsedMs();
  const { continueFrom, toolChoice } = input;
  const sampling = samplingOf(session, requireSampling(input));
  const said = {
    type: 'text' as const,
    text,
    ...(media.length > 0 && { media: [...media] }),
    // Their places were in another text.
    ...(parts.length > 0 && { parts: parts.map((part) => ({ ...part, at: 0 })) }),
  };
  const turn = await beginTurn(core, session, input.engine ?? session.engine, said, signal);
  const hasMemories = !asked && (await addMemories(core, turn, signal));
  const isRecalled = !asked && (await addRecalled(core, turn, text, signal));
  // A client that has the session before the recall lacks one message more than question and answer.
  const fromVersion = isRecalled || hasMemories ? turn.session.version : session.version;
  const question = asked ?? newMessage(core, turn.messages, 'user', said);
  const answered = await converse(
    core,
    turn,
    { added: [question], inPool: asked !== undefined, round: 1 },
    { sampling, continueFrom, toolChoice, reporter },
    signal,
  );
  return { ...answered, userMessageId: question.id, fromVersion, ms: core.clock.elapsedMs() - started };
}

/**
 * Stores what the question asks to recall in front of it, as files of the context. A failure of that is no failure of the turn.
 *
 * @returns whether there was anything. @throws what `signal` was aborted with.
 */
export const addRecalled = (core: CoreContext, turn: Turn, text: string, signal: AbortSignal): Promise<boolean> =>
  addContext(core, turn, () => recalledFor(core, turn, text, signal), signal);

/** In front of a session's first message, what is remembered, where the session has that; as {@link addRecalled}. */
const addMemories = (core: CoreContext, turn: Turn, signal: AbortSignal): Promise<boolean> =>
  addContext(core, turn, () => memoriesFor(core, turn), signal);

async function addContext(
  core: CoreContext,
  turn: Turn,
  find: () => Promise<readonly ContextFile[] | null>,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const files = await find();
    if (!files) return false;
    const message = newMessage(core, turn.messages, 'user', { type: 'context', files: [...files] });
    const stored = await storeAnswer(core, turn.session, {
      messages: [message],
      length: turn.messages.length + 1,
      ids: null,
      events: [],
      changed: {},
    });
    turn.session = stored.session;
    turn.messages = core.conversations.added(turn.session.id, turn.messages, stored.messages);
    return true;
  } catch (error) {
    signal.throwIfAborted();
    if (!isCwmError(error)) throw error;
    return false;
  }
}

/** @throws CwmError InvalidParameter. */
const requireSampling = ({ maxTokens, temperature }: Pick<AnswerInput, 'maxTokens' | 'temperature'>) => ({
  maxTokens: parseMaxTokens(maxTokens),
  temperature: parseTemperature(temperature),
});

/** @throws CwmError InvalidParameter for a text that cannot be sent. */
export function requireMessage(text: string): void {
  if (text.trim() === '') throw new CwmError('InvalidParameter', 'The message is empty.');
  requireWellFormed(text, 'The message');
}

/** What the message says, else what the session is set to, else the defaults. */
export function samplingOf(
  { settings }: Session,
  given: { readonly maxTokens: number | undefined; readonly temperature: number | undefined },
): Pick<GenerateOptions, 'maxTokens' | 'temperature' | 'topP' | 'stop' | 'seed'> {
  const { sampling = {} } = settings ?? {};
  return {
    ...sampling,
    maxTokens: given.maxTokens ?? sampling.maxTokens ?? defaultAnswerTokens,
    // Greedy, so that an answer can be compared with the one before a thaw.
    temperature: given.temperature ?? sampling.temperature ?? 0,
  };
}

function parseMaxTokens(value: number | undefined): number | undefined {
  if (value === undefined || (Number.isInteger(value) && value >= 1 && value <= maxAnswerTokens)) return value;
  throw new CwmError('InvalidParameter', `"maxTokens" must be a whole number from 1 to ${maxAnswerTokens}.`);
}

function parseTemperature(value: number | undefined): number | undefined {
  if (value === undefined || (value >= 0 && value <= 2)) return value;
  throw new CwmError('InvalidParameter', '"temperature" must be a number from 0 to 2.');
}
