import { CwmError, isCwmError, nullOn, toCwmError } from '../../protocol/errors.ts';
import type { ContextTokens, CutReason, Message, Session, TokensTaken } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import type { BegunAnswer, LeftAnswer } from '../ports/answerLog.ts';
import { withSaid, type AnswerUnderWay } from '../answers/answerUnderWay.ts';
import { segmentsOf } from '../memory/show.ts';
import { isAtRest, isPaused, settled, type TurnEvent } from './machine.ts';
import { closeCalls } from './runCalls.ts';
import { takenByCut } from '../prompt/taken.ts';
import { storeAnswer, type Added } from './storeAnswer.ts';
import { endFailedTurn, endingEvents, forgetAnswer, type Changed, type Turn } from './turn.ts';

/**
 * Ends a turn whose answer `error` stopped. What came of the answer is stored behind the user's text, marked as cut; where nothing came,
 * the session has only the draft. @returns the error for the caller, which says what is stored.
 */
export async function endCutTurn(core: CoreContext, turn: Turn, error: unknown): Promise<unknown> {
  const { answer } = turn;
  answer?.close();
  // A model that only thought, to the end, has given no answer.
  if (!answer?.hasContent || isCwmError(error, 'EmptyAnswer')) {
    await endFailedTurn(core, turn, error);
    return error;
  }
  const reason = isCwmError(error, 'Cancelled') ? 'stopped' : 'failed';
  const taken = takenByCut(turn.description, answer.ids);
  core.took(turn.session.id, taken);
  try {
    const changed = { model: turn.description.model };
    const segments = turn.shown ? segmentsOf(turn.shown) : turn.session.tokens?.segments;
    turn.session = await storeCut(
      core,
      turn.session,
      { ...cutOf(answer), segments },
      {
        reason,
        events: endingEvents(turn.session, error),
        taken,
        changed,
      },
    );
    await forgetAnswer(core, turn);
  } catch {
    // It stays in memory and in the log, and the session's next operation stores it.
    return error;
  }
  const failure = toCwmError(error);
  return new CwmError(failure.name, failure.message, {
    hint: 'Your text and what came of the answer are stored. Continue the answer, or send another message.',
    context: { ...failure.context, answer: answer.begun.answer.id },
    cause: error,
  });
}

/**
 * The session as its last turn left it, for a caller who knows that no turn runs. What a crash, or a disk that was full, has left of an
 * answer becomes a message.
 *
 * @throws CwmError as the store.
 */
export async function recoverTurn(core: CoreContext, session: Session): Promise<Session> {
  if (isAtRest(session) || isPaused(session)) return session;
  if (session.phase === 'ExecutingTools') return closeCalls(core, session, 'recover');
  const turn = core.underWay.get(session.id);
  const answer = turn?.answer;
  const cut = answer ? cutOf(answer) : await leftCut(core, session);
  if (!cut || cut.begun.version !== session.version || cut.said <= cut.begun.given) return settled(session);
  const reason = answer ? 'failed' : 'crashed';
  const whole = await storedAnswer(core, session, cut.begun);
  const stored = whole
    ? await finish(core, session, cut.begun, whole)
    : await storeCut(core, session, await withSegments(core, session, cut, turn), {
        reason,
        events: ['recover'],
        changed: {},
      });
  core.conversations.forget(session.id);
  core.underWay.delete(session.id);
  return stored;
}

/** The ids of a prompt whose segments nobody knows stand for nothing that a later prompt could begin with: the session has those of before. */
async function withSegments(core: CoreContext, session: Session, cut: Cut, turn: Turn | undefined): Promise<Cut> {
  if (turn?.shown) return { ...cut, segments: segmentsOf(turn.shown) };
  if (!cut.ids || !session.settings?.memory?.enableVm) return cut;
  const { segments } = await core.memories.of(session);
  return segments.length === 0 ? cut : { ...cut, ids: null };
}

/** The answer, where only the session's record does not have it yet. */
async function storedAnswer(core: CoreContext, { id }: Session, { answer }: BegunAnswer): Promise<Message | null> {
  const [message] = (await nullOn(core.store.messages.load(id, [answer.id]), 'MessageNotFound', 'Corrupted')) ?? [];
  return message ?? null;
}

async function finish(
  core: CoreContext,
  session: Session,
  { question }: BegunAnswer,
  whole: Message,
): Promise<Session> {
  const calls = 'calls' in whole.content ? whole.content.calls : null;
  const added: Added = {
    messages: question ? [question, whole] : [whole],
    length: whole.sequence,
    ids: null,
    // Each of its calls gets a result, also when this process ends before that.
    events: calls ? ['streamed', 'runTools'] : ['recover'],
    changed: {
      draft: null,
      ...(whole.context && { tokens: whole.context }),
      ...(calls && { pendingTools: { calls: [...calls], round: 1 } }),
    },
  };
  const { session: stored } = await storeAnswer(core, session, added);
  return calls ? closeCalls(core, stored, 'recover') : stored;
}

/** What there is of an answer. */
interface Cut {
  readonly begun: BegunAnswer;
  readonly message: Message;
  readonly ids: { readonly prompt: readonly number[]; readonly output: readonly number[] } | null;
  /** Of its prompt; left out: it had none. */
  readonly segments?: ContextTokens['segments'];
  /** Number of its chunks. */
  readonly said: number;
}

const cutOf = (answer: AnswerUnderWay): Cut => ({
  begun: answer.begun,
  message: answer.message,
  ids: answer.ids,
  said: answer.last,
});

async function leftCut(core: CoreContext, session: Session): Promise<Cut | null> {
  const left = await core.store.answers.left(session.id);
  if (!left) return null;
  const { answer, chunks } = left;
  return {
    begun: left,
    message: withSaid(answer, chunks),
    ids: await idsOf(core, session, left),
    said: chunks.length,
  };
}

/** Null where the engine did not tell them, and where those that they begin with are damaged. */
async function idsOf(core: CoreContext, { id, tokens }: Session, { prompt, ids }: LeftAnswer): Promise<Cut['ids']> {
  if (!prompt || ids.length === 0) return null;
  const before =
    prompt.shared === 0 ? [] : tokens && (await nullOn(core.store.sessions.loadTokens(id, tokens.sha256), 'Corrupted'));
  if (!before || before.length < prompt.shared) return null;
  return { prompt: [...before.slice(0, prompt.shared), ...prompt.ids], output: ids };
}

async function storeCut(
  core: CoreContext,
  session: Session,
  { begun, message, ids, segments }: Cut,
  {
    reason,
    ...added
  }: {
    reason: CutReason;
    events: readonly TurnEvent[];
    taken?: TokensTaken;
    changed: Changed;
  },
): Promise<Session> {
  const cut = { ...message, cut: reason };
  const { session: stored } = await storeAnswer(core, session, {
    messages: begun.question ? [begun.question, cut] : [cut],
    length: message.sequence,
    ids: ids && { ...ids, source: 'engine', segments },
    ...added,
    changed: { ...added.changed, draft: null },
  });
  return stored;
}
