import { CwmError } from '../../protocol/errors.ts';
import type { SessionId } from '../../protocol/ids.ts';
import type { Message, Session } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import { requireSameModel } from '../identity.ts';
import { requireOpen } from '../lifecycle.ts';
import { saltOf } from '../ports/lineages.ts';
import { requireSession } from '../session.ts';
import { AnswerUnderWay } from './answerUnderWay.ts';
import { recoverTurn } from './cutAnswer.ts';
import { advance } from './machine.ts';
import { endFailedTurn, tokensBefore, updateRecord, type Turn } from './turn.ts';

/** Runs one turn of a session. A second turn at the same time is refused, not queued (S4-50). */
export async function withTurn<T>(
  core: CoreContext,
  id: SessionId,
  signal: AbortSignal,
  task: (session: Session) => Promise<T>,
): Promise<T> {
  if (core.turns.isBusy(id)) {
    throw new CwmError('InvalidTransition', `Session "${id}" is busy with another operation.`);
  }
  return core.turns.run(
    id,
    async () => {
      const session = await requireSession(core, id);
      requireOpen(session, core.clock.now());
      return task(await recoverTurn(core, session));
    },
    signal,
  );
}

/** Stores the beginning of a turn and the user's text, and asks the engine for its description. */
export async function beginTurn(
  core: CoreContext,
  session: Session,
  spec: string,
  draft: string | null,
  signal: AbortSignal,
): Promise<Turn> {
  const engine = core.engines.get(spec);
  await core.trackers.use(session.id, (tracker) => tracker.beforeTurn(session));
  const begun = await updateRecord(core, advance(session, 'send', 'request'), {
    draft: draft ?? session.draft,
    engine: spec,
  });
  try {
    const description = await engine.describe(signal);
    requireSameModel(session.model, description.model);
    const messages = await core.conversations.of(session);
    const lineage = await core.store.lineages.get(session.lineage);
    return { session: begun, answer: null, engine, description, messages, salt: saltOf(lineage) };
  } catch (error) {
    await endFailedTurn(core, { session: begun, answer: null }, error, { engine: session.engine });
    throw error;
  }
}

/**
 * An answer is asked for: from its first piece on it can be pulled, and a crash loses no more than its last batch.
 *
 * @param question what the turn adds besides; null where the pool has it.
 * @param continued what the answer continues. Default: nothing.
 */
export async function beginAnswer(
  core: CoreContext,
  turn: Turn,
  question: Message | null,
  answer: Message,
  continued?: { readonly text: string; readonly reasoning?: string | undefined },
): Promise<void> {
  const { id: session, version } = turn.session;
  const begun = { session, version, question, answer };
  const before = (await tokensBefore(core, turn.session)) ?? [];
  turn.answer = new AnswerUnderWay(core.store.answers, begun, before, continued);
  core.underWay.set(session, turn);
}
