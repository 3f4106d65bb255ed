import type { RouteInput } from '../../protocol/api.ts';
import type { SendResult } from '../../protocol/schemas/turn.ts';
import { CwmError, toCwmError } from '../../protocol/errors.ts';
import { parseSessionId } from '../../protocol/ids.ts';
import type { Message, Session } from '../../protocol/schemas/session.ts';
import { maxAnswerTokens } from '../../protocol/schemas/sessionSettings.ts';
import type { CoreContext } from '../context.ts';
import { requireWellFormed } from '../prompt/wellFormed.ts';
import type { Reporter } from '../ports/reporter.ts';
import { answerNotes } from './answer.ts';
import { nearLimitNotes } from './nearLimit.ts';
import {
  beginTurn,
  generate,
  keepTurn,
  newMessage,
  withTurn,
  type Generated,
  type GenerateOptions,
  type Turn,
} from './turns.ts';

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
  const started = core.clock.elapsedMs();
  const id = parseSessionId(input.session);
  const text = input.text;
  requireMessage(text);
  const given = { maxTokens: parseMaxTokens(input.maxTokens), temperature: parseTemperature(input.temperature) };
  return withTurn(core, id, signal, async (session) => {
    const spec = input.engine ?? session.engine;
    const turn = await beginTurn(core, session, spec, text, signal);
    const userMessage = newMessage(core, turn.messages, 'user', { type: 'text', text });
    const { continueFrom } = input;
    const sampling = samplingOf(session, given);
    const { maxTokens } = sampling;
    const options = { ...sampling, onText: reporter.text, continueFrom };
    const { generation, rerenderTokens } = await generateOrKeepDraft(core, turn, userMessage, options, signal);

    const { reasoning = '' } = generation;
    const said = { type: 'text', text: generation.text, ...(reasoning !== '' && { reasoning }) } as const;
    const answer = newMessage(core, [...turn.messages, userMessage], 'assistant', said);
    const { session: kept, prefixBreak } = await keepTurn(core, turn, [userMessage, answer], generation, signal);
    return {
      session: id,
      fromVersion: session.version,
      version: kept.version,
      text: generation.text,
      messageId: answer.id,
      promptTokens: generation.promptIds.length || generation.reuse.promptTokens,
      outputIds: [...generation.outputIds],
      cachedTokens: generation.reuse.cachedTokens,
      finishReason: generation.finishReason,
      timeToFirstTokenMs: generation.reuse.timeToFirstTokenMs,
      ms: core.clock.elapsedMs() - started,
      prefixBreak,
      ...(rerenderTokens !== undefined && { rerenderTokens }),
      notes: [
        ...answerNotes(generation, maxTokens),
        ...nearLimitNotes(kept.tokens?.count ?? 0, turn.description.model),
      ],
    };
  });
}

/** @throws CwmError InvalidParameter for a text that cannot be sent. */
export function requireMessage(text: string): void {
  if (text.trim() === '') throw new CwmError('InvalidParameter', 'The message is empty.');
  requireWellFormed(text, 'The message');
}

/** What the message says, else what the session is set to, else the defaults. */
function samplingOf(
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
    throw new CwmError(failure.name, failure.message, {
      hint: `${failure.hint} Your text is saved as a draft.`,
      context: { ...failure.context, draftKept: true },
      cause: error,
    });
  }
}
