import type { RouteInput } from '../../protocol/api.ts';
import type { SendResult } from '../../protocol/schemas/turn.ts';
import { CwmError, toCwmError } from '../../protocol/errors.ts';
import { parseSessionId } from '../../protocol/ids.ts';
import type { Message, Picture, Session } from '../../protocol/schemas/session.ts';
import { maxAnswerTokens } from '../../protocol/schemas/sessionSettings.ts';
import type { CoreContext } from '../context.ts';
import { hasPictures, parsePictures } from '../prompt/pictures.ts';
import { requireWellFormed } from '../prompt/wellFormed.ts';
import type { Reporter } from '../ports/reporter.ts';
import { answerNotes, logNotes } from './answer.ts';
import { nearLimitNotes } from './nearLimit.ts';
import { generate, type Generated, type GenerateOptions } from './generate.ts';
import { keepTurn } from './keepTurn.ts';
import { newMessage, type Turn } from './turn.ts';
import { beginAnswer, beginTurn, withTurn } from './turns.ts';

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
  return withTurn(core, id, signal, (session) =>
    answer(core, session, { text: input.text, media }, input, signal, reporter),
  );
}

type AnswerInput = Pick<RouteInput<'send'>, 'maxTokens' | 'temperature' | 'continueFrom' | 'engine'>;

interface Asked {
  readonly text: string;
  /** Default: none. */
  readonly media?: readonly Picture[];
  /** One of the pool, which is not stored again; default: a new one of this text. */
  readonly message?: Message;
}

/**
 * One answer, for a caller that has the turn.
 */
export async function answer(
  core: CoreContext,
  session: Session,
  asked: Asked,
  input: AnswerInput,
  signal: AbortSignal,
  reporter: Reporter,
): Promise<SendResult> {
  const started = core.clock.elapsedMs();
  const { text, media = [] } = asked;
  const { continueFrom } = input;
  const sampling = samplingOf(session, requireSampling(input));
  const turn = await beginTurn(core, session, input.engine ?? session.engine, text, signal);
  const question =
    asked.message ??
    newMessage(core, turn.messages, 'user', {
      type: 'text',
      text,
      ...(media.length > 0 && { media: [...media] }),
    });
  const blank = newMessage(core, [...turn.messages, question], 'assistant', { type: 'text', text: '' });
  await beginAnswer(core, turn, asked.message ? null : question, blank);
  reporter.begun(blank.id);
  const options = { ...sampling, reporter, continueFrom };
  const generated = await generateOrKeepDraft(core, turn, question, options, signal);
  const { generation } = generated;
  const { reasoning = '', finishReason } = generation;
  const said = { type: 'text', text: generation.text, ...(reasoning !== '' && { reasoning }) } as const;
  const message = {
    ...blank,
    content: said,
    ...(finishReason === 'length' && { cut: 'limit' as const }),
  };
  const ended = await keepTurn(core, turn, [question, message], generation, signal);
  const result = sendResult(turn, message, generated, ended, answerNotes(generation, sampling.maxTokens));
  return { ...result, fromVersion: session.version, ms: core.clock.elapsedMs() - started };
}

/** What the client gets of an answer that is stored. */
export function sendResult(
  turn: Turn,
  message: Message,
  { generation, rerenderTokens }: Generated,
  { session, prefixBreak }: Awaited<ReturnType<typeof keepTurn>>,
  notes: readonly string[],
): SendResult {
  return {
    session: session.id,
    version: session.version,
    text: generation.text,
    messageId: message.id,
    promptTokens: generation.promptIds.length || generation.reuse.promptTokens,
    outputIds: [...generation.outputIds],
    cachedTokens: generation.reuse.cachedTokens,
    finishReason: generation.finishReason,
    timeToFirstTokenMs: generation.reuse.timeToFirstTokenMs,
    ms: 0,
    prefixBreak,
    ...(rerenderTokens !== undefined && { rerenderTokens }),
    notes: [
      ...notes,
      ...logNotes(turn.answer?.logFailure ?? null),
      ...nearLimitNotes(session.tokens?.count ?? 0, turn.description.model),
    ],
  };
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

async function generateOrKeepDraft(
  core: CoreContext,
  turn: Turn,
  userMessage: Message,
  options: Omit<GenerateOptions, 'addGenerationPrompt'>,
  signal: AbortSignal,
): Promise<Generated> {
  try {
    return await generate(core, turn, [userMessage], { ...options, addGenerationPrompt: true }, signal);
  } catch (error) {
    const failure = toCwmError(error);
    if (failure.context?.['answer'] !== undefined) throw failure;
    throw new CwmError(failure.name, failure.message, {
      hint: `${failure.hint} Your text is saved as a draft${hasPictures([userMessage]) ? ', without its pictures' : ''}.`,
      context: { ...failure.context, draftKept: true },
      cause: error,
    });
  }
}
