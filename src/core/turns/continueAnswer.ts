import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { CwmError, nullOn } from '../../protocol/errors.ts';
import { parseSessionId } from '../../protocol/ids.ts';
import type { Message, Session } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import type { Generation } from '../ports/engine.ts';
import type { Reporter } from '../ports/reporter.ts';
import { answerNotes } from '../answers/answer.ts';
import { requireAnswerable, samplingOf } from './send.ts';
import { sendResult } from './sendResult.ts';
import { continueIds } from './generate.ts';
import { endTurn } from './endTurn.ts';
import { newMessage } from './turn.ts';
import { beginAnswer, beginTurn, withTurn } from './turns.ts';

/**
 * Continues the last answer, which was cut, from its exact token ids: the model goes on in the middle of the sentence. The whole answer
 * takes the place of the cut one, which stays in the pool.
 *
 * @throws CwmError InvalidSessionId, InvalidParameter (nothing was cut, or its ids are not known), SessionNotFound, InvalidTransition,
 *   AlreadyFrozen, ModelMismatch, EngineRejected (the server takes no token ids), and the engine's.
 */
export async function continueAnswer(
  core: CoreContext,
  input: RouteInput<'continueAnswer'>,
  signal: AbortSignal,
  reporter: Reporter,
): Promise<RouteOutput<'continueAnswer'>> {
  return withTurn(core, parseSessionId(input.session), signal, async (session, signal) => {
    const started = core.clock.elapsedMs();
    const { cut, ids } = await requireCut(core, session);
    const sampling = samplingOf(session, { maxTokens: input.maxTokens, temperature: input.temperature });
    const begun = await beginTurn(core, session, input.engine ?? session.engine, null, signal);
    // Until the whole answer is stored, the branch has the cut one.
    const turn = { ...begun, messages: begun.messages.slice(0, -1) };
    const blank = newMessage(core, turn.messages, 'assistant', { type: cut.content.type, text: '' });
    await beginAnswer(core, turn, null, blank, cut.content);
    reporter.begun(blank.id);
    const generated = await continueIds(core, turn, { message: cut, ids }, { ...sampling, reporter }, signal);
    const { generation } = generated;
    const message: Message = {
      ...blank,
      content: joined(cut.content, generation),
      ...(generation.finishReason === 'length' && { cut: 'limit' as const }),
    };
    const ended = await endTurn(core, turn, { added: [message], generation }, signal);
    const result = await sendResult(core, turn, message, generated, ended, answerNotes(generation, sampling.maxTokens));
    return { ...result, fromVersion: session.version, ms: core.clock.elapsedMs() - started };
  });
}

/** @throws CwmError as {@link continueAnswer}, before anything is done. */
export async function checkContinue(
  core: CoreContext,
  session: Session,
  input: RouteInput<'continueAnswer'>,
): Promise<void> {
  requireAnswerable(core, session.engine, input);
  await requireCut(core, session);
}

const joined = (
  { type, text, reasoning: before = '' }: TextMessage['content'],
  { text: rest, reasoning = '' }: Generation,
): TextMessage['content'] => ({
  type,
  text: text + rest,
  ...(before + reasoning !== '' && { reasoning: before + reasoning }),
});

type TextMessage = Message & { readonly content: Extract<Message['content'], { readonly type: 'text' | 'plan' }> };

async function requireCut(core: CoreContext, session: Session): Promise<{ cut: TextMessage; ids: readonly number[] }> {
  const messages = await core.conversations.of(session);
  const cut = messages.at(-1);
  if (cut?.role !== 'assistant' || cut.cut === undefined || !isText(cut)) {
    throw new CwmError('InvalidParameter', 'The last answer was not cut.', { hint: 'Send "Continue" for more.' });
  }
  const { context } = cut;
  const ids = context && (await nullOn(core.store.sessions.loadTokens(session.id, context.sha256), 'Corrupted'));
  if (!ids || ids.length === 0 || context.messageCount !== messages.length) {
    throw new CwmError('InvalidParameter', 'The token ids of the cut answer are not known.', {
      hint: 'Send "Continue" for the rest.',
    });
  }
  return { cut, ids };
}

const isText = (message: Message): message is TextMessage =>
  message.content.type === 'text' || message.content.type === 'plan';
