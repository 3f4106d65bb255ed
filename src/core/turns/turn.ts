import { randomId } from '../../base/hash.ts';
import type { TokenList } from '../../base/tokenIds.ts';
import { nullOn, toCwmError } from '../../protocol/errors.ts';
import type { MessageId } from '../../protocol/ids.ts';
import { sessionChange } from '../../protocol/signals.ts';
import type { Message, MessageContent, MessageRole, Session } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import type { Shown } from '../memory/show.ts';
import type { Engine, EngineDescription } from '../ports/engine.ts';
import type { AnswerUnderWay } from '../answers/answerUnderWay.ts';
import { advance, type TurnEvent } from './machine.ts';

/** A turn under way, and the records that it works with. */
export interface Turn {
  /** As last stored, with the phase of this moment. */
  session: Session;
  /** The answer that comes; null while none is asked for. */
  answer: AnswerUnderWay | null;
  readonly engine: Engine;
  readonly description: EngineDescription;
  messages: readonly Message[];
  /** What the model got of them in the last request; null: none was made. */
  shown: Shown | null;
  readonly salt: string;
  /** Tries of the request to the engine that failed, since the last one that gave an answer. */
  failedTries: number;
}

export function newMessage(
  core: CoreContext,
  before: readonly Message[],
  role: MessageRole,
  content: MessageContent,
): Message {
  const last = before.at(-1);
  return {
    id: randomId() as MessageId,
    role,
    parentId: last?.id ?? null,
    sequence: (last?.sequence ?? 0) + 1,
    content,
    createdAt: core.clock.now().toISOString(),
  };
}

/** The message as one of its own behind another one. What the engine saw and took belongs to the place of the original. */
export function copyBehind(core: CoreContext, original: Message, before: Message | null): Message {
  const { context: _, taken: __, ...message } = original;
  return {
    ...message,
    id: randomId() as MessageId,
    parentId: before?.id ?? null,
    sequence: (before?.sequence ?? 0) + 1,
    copyOf: message.id,
    createdAt: core.clock.now().toISOString(),
  };
}

export type Changed = Partial<Omit<Session, 'phase'>>;

export async function updateRecord(core: CoreContext, session: Session, changed: Changed): Promise<Session> {
  const next = { ...session, ...changed, updatedAt: core.clock.now().toISOString(), version: session.version + 1 };
  await core.store.sessions.update(next);
  return next;
}

/** The turn's phase moves. It is not stored, since after a crash each of them ends the same way; clients see it while the turn runs. */
export function movePhase(core: CoreContext, turn: Pick<Turn, 'session' | 'answer'>, event: TurnEvent): void {
  turn.session = advance(turn.session, event);
  if (turn.answer) tellPhase(core, turn.session);
}

/** Signals a phase that no write tells of. */
export const tellPhase = (core: CoreContext, session: Session): void =>
  core.changes.emit(sessionChange(session.id, session));

/** What a failure, or the stop of a turn, does to its session. */
export function endingEvents(session: Session, error: unknown): readonly TurnEvent[] {
  if (toCwmError(error).name === 'Cancelled') return ['cancel'];
  // The retries are used up.
  return session.phase === 'TransientFailure' ? ['giveUp'] : ['fail', 'abandon'];
}

/** Ends a turn that `error` stopped: the session is idle again. When that cannot be stored, the session's next operation recovers it. */
export async function endFailedTurn(
  core: CoreContext,
  turn: Pick<Turn, 'session' | 'answer'>,
  error: unknown,
  changed: Changed = {},
): Promise<void> {
  try {
    turn.session = await updateRecord(core, advance(turn.session, ...endingEvents(turn.session, error)), changed);
  } catch {
    // The error that stopped the turn says more, and the caller throws it.
  }
  // The caller says that the text is a draft: the next turn must not find it answered.
  await forgetAnswer(core, turn);
}

/** The turn's answer is stored, or there is nothing of it to store. */
export async function forgetAnswer(
  core: CoreContext,
  { session, answer }: Pick<Turn, 'session' | 'answer'>,
): Promise<void> {
  if (!answer) return;
  answer.close();
  core.underWay.delete(session.id);
  if (answer.isLogged) await core.store.answers.ended(session.id);
}

/** Null also when the ids are damaged: the turn only compares its prompt with them, then replaces them. */
export const tokensBefore = async (core: CoreContext, { id, tokens }: Session): Promise<TokenList | null> =>
  tokens && nullOn(core.store.sessions.tokenList(id, tokens.sha256), 'Corrupted');
