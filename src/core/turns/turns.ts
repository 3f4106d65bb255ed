import { CwmError } from '../../protocol/errors.ts';
import type { SessionId } from '../../protocol/ids.ts';
import type { Message, MessageContent, Session } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import { requireSameModel } from '../identity.ts';
import { requireOpen } from '../lifecycle.ts';
import type { EngineDescription } from '../ports/engine.ts';
import { saltOf } from '../ports/lineages.ts';
import { nextEngine, requireSession } from '../session.ts';
import { withDraft } from '../prompt/withDraft.ts';
import { AnswerUnderWay } from '../answers/answerUnderWay.ts';
import { recoverTurn } from './cutAnswer.ts';
import { advance, isPaused } from './machine.ts';
import { endFailedTurn, tellPhase, tokensBefore, updateRecord, type Turn } from './turn.ts';

type TextContent = Extract<MessageContent, { readonly type: 'text' }>;

/**
 * Runs one turn of a session. A second turn at the same time is refused, not queued (S4-50).
 *
 * @param task gets a signal that {@link cancelTurn} aborts, too.
 * @param decides whether it is about the tool calls that the session waits with; any other turn is refused then. Default: no.
 */
export async function withTurn<T>(
  core: CoreContext,
  id: SessionId,
  signal: AbortSignal,
  task: (session: Session, signal: AbortSignal) => Promise<T>,
  { decides = false }: { readonly decides?: boolean } = {},
): Promise<T> {
  await core.background.giveWay(id, signal);
  if (core.turns.isBusy(id)) {
    throw new CwmError('InvalidTransition', `Session "${id}" is busy with another operation.`);
  }
  return core.turns.run(
    id,
    async () => {
      const session = await requireSession(core, id);
      requireOpen(session, core.clock.now());
      if (isPaused(session) && !decides) throw undecided(id);
      const own = new AbortController();
      core.running.set(id, own);
      try {
        return await task(await recoverTurn(core, session), AbortSignal.any([signal, own.signal]));
      } finally {
        core.running.delete(id);
      }
    },
    signal,
  );
}

const undecided = (id: SessionId): CwmError =>
  new CwmError('InvalidTransition', `Session "${id}" waits for your decision about tool calls.`, {
    hint: 'Approve or deny them ("cwm session approve", "cwm session deny"), or cancel the turn ("cwm session cancel").',
  });

/**
 * Stores the beginning of a turn and the user's text, and asks the engine for its description.
 *
 * @param said what the user says, whose text becomes the draft; null: nothing, and the draft stays.
 */
export async function beginTurn(
  core: CoreContext,
  session: Session,
  spec: string,
  said: TextContent | null,
  signal: AbortSignal,
): Promise<Turn> {
  core.engines.get(spec);
  await core.trackers.use(session.id, (tracker) => tracker.beforeTurn(session));
  const sent = advance(session, 'send');
  tellPhase(core, sent);
  const begun = await updateRecord(core, advance(sent, 'request'), {
    draft: said?.text ?? session.draft,
    ...nextEngine(session, spec),
  });
  try {
    return { ...(await resumeTurn(core, session, spec, signal)), session: begun };
  } catch (error) {
    await endFailedTurn(core, { session: begun, answer: null }, error, {
      engine: session.engine,
      formerEngines: session.formerEngines,
    });
    throw said ? withDraft(error, [{ content: said }]) : error;
  }
}

/** @throws CwmError ModelMismatch where the session cannot continue with the engine's model; as the engine. */
export async function requireModel(
  core: CoreContext,
  session: Session,
  spec: string,
  signal: AbortSignal,
): Promise<EngineDescription> {
  const description = await core.engines.get(spec).describe(signal);
  core.holders.describes(spec, description.kind);
  requireSameModel(session.model, description.model);
  return description;
}

/** A turn that begins behind its first steps: nothing is stored. */
export async function resumeTurn(
  core: CoreContext,
  session: Session,
  spec: string,
  signal: AbortSignal,
): Promise<Turn> {
  const engine = core.engines.get(spec);
  const description = await requireModel(core, session, spec, signal);
  const messages = await core.conversations.of(session);
  const lineage = await core.store.lineages.get(session.lineage);
  return { session, answer: null, engine, description, messages, shown: null, salt: saltOf(lineage), failedTries: 0 };
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
  const before = await tokensBefore(core, turn.session);
  turn.answer = new AnswerUnderWay(core.store.answers, begun, before, continued);
  core.underWay.set(session, turn);
  const data = { context_id: session, message_id: answer.id, role: answer.role };
  core.changes.tell?.({ name: 'MessageCreated', data });
}
