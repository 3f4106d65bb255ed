import { nullOn } from '../../protocol/errors.ts';
import type { MessageId, SessionId } from '../../protocol/ids.ts';
import type { Branch, Message, Session } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';

/**
 * Puts a placeholder, marked `lost`, in the place of each damaged message of a session, on all branches, so that the session takes turns
 * again. Branches with such a message forget their token ids, which are those of the lost text: the model must see what the user sees.
 *
 * @returns what was done, in plain words.
 */
export async function replaceLost(core: CoreContext, signal: AbortSignal): Promise<string[]> {
  const done: string[] = [];
  for (const id of await core.store.sessions.ids()) {
    signal.throwIfAborted();
    done.push(...(await core.turns.run(id, () => replaceLostOf(core, id), signal)));
  }
  return done;
}

async function replaceLostOf(core: CoreContext, id: SessionId): Promise<string[]> {
  const session = await nullOn(core.store.sessions.get(id), 'Corrupted', 'UnsupportedSchema');
  if (!session) return [];
  const replaced = new Map<MessageId, Message>();
  const touched = new Set<string>();
  for (const { name, head } of Object.values(session.branches)) {
    // Where the way to the beginning is lost, nothing says which messages the branch had.
    const ids = (await nullOn(core.store.messages.chain(id, head), 'Corrupted')) ?? [];
    const standIns = (await core.store.messages.loadOrStandIns(id, ids)).filter(({ lost }) => lost !== undefined);
    for (const one of standIns) if (!(await isStored(core, id, one))) replaced.set(one.id, one);
    if (standIns.some((one) => replaced.has(one.id))) touched.add(name);
  }
  if (replaced.size === 0) return [];
  await core.store.messages.append(id, [...replaced.values()]);
  core.conversations.forget(id);
  await core.store.sessions.update(withoutIdsOf(session, touched, core.clock.now().toISOString()));
  return [...replaced.keys()].map(
    (one) => `A placeholder took the place of the lost message "${one}" of session "${id}".`,
  );
}

const isStored = async (core: CoreContext, id: SessionId, message: Message): Promise<boolean> =>
  (await nullOn(core.store.messages.load(id, [message.id]), 'Corrupted', 'MessageNotFound')) !== null;

function withoutIdsOf(session: Session, touched: ReadonlySet<string>, at: string): Session {
  const branches: Record<string, Branch> = {};
  for (const [name, branch] of Object.entries(session.branches)) {
    const { tokens, ...bare } = branch;
    branches[name] = tokens && !touched.has(name) ? branch : bare;
  }
  const tokens = touched.has(session.activeBranch) ? null : session.tokens;
  return { ...session, branches, tokens, placeholdersAt: at, updatedAt: at, version: session.version + 1 };
}
