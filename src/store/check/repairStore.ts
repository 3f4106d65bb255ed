import { firstOwnWords } from '../../base/readableText.ts';
import { randomId, randomSalt } from '../../base/hash.ts';
import type { OnChecked } from '../../core/ports/check.ts';
import { isCwmError, nullOn } from '../../protocol/errors.ts';
import type { LineageId, SessionId } from '../../protocol/ids.ts';
import { newSession, type Message, type Session } from '../../protocol/schemas/session.ts';
import type { WindowManifest } from '../../protocol/schemas/window.ts';
import { checkStore, type VerifiedStore } from './verifyStore.ts';

/**
 * Sets damaged records aside. Rebuilds a lost session record from its messages, a lost lineage with another salt, and the index from
 * the files. Each step is complete by itself: an abort leaves the rest to the next repair. @param engine for sessions whose own engine
 * is not known.
 * @returns what was done, in plain words.
 */
export async function repairStore(
  store: VerifiedStore,
  engine: string,
  onChecked: OnChecked,
  signal: AbortSignal,
): Promise<string[]> {
  const { quarantine } = store.parts;
  const before = new Set(quarantine.problems);
  await checkStore(store, onChecked, signal);
  const madeAnew: string[] = [];
  for (const id of await store.source.sessionIds()) {
    signal.throwIfAborted();
    const messages = await makeSessionAnew(store, id, engine);
    if (messages !== null) madeAnew.push(`The record of session "${id}" was rebuilt from its ${messages} messages.`);
  }
  for (const id of await lostLineages(store)) {
    signal.throwIfAborted();
    await store.lineages.replaceLost(id, randomSalt());
    madeAnew.push(`The lineage "${id}" was recreated: KV that was stored under it is computed again.`);
  }
  await store.index.rebuild();
  const moved = quarantine.problems.filter((problem) => problem.movedTo !== null && !before.has(problem));
  return [...moved.map(({ path, movedTo }) => `${path} was damaged. It was moved to ${movedTo}.`), ...madeAnew];
}

/** @returns how many messages it has, or null when there was nothing to do. */
async function makeSessionAnew(store: VerifiedStore, id: SessionId, engine: string): Promise<number | null> {
  const { sessions, lineages, parts } = store;
  if (!(await hasNoRecord(store, id))) return null;
  const messages = await wholeMessages(store, id);
  const window = await lastWindowOf(store, id);
  const lineage = window?.lineage ?? (randomId() as LineageId);
  if (!window) await lineages.create({ id: lineage, salt: randomSalt(), generation: 0 });
  const at = parts.clock.now().toISOString();
  const branches = await branchesOf(store, id, messages);
  await sessions.putRecord({
    ...newSession({
      id,
      title: firstOwnWords(messages) || id,
      project: window?.project ?? null,
      engine: window?.engine ?? engine,
      model: window?.model ?? null,
      lineage,
      createdAt: messages[0]?.createdAt ?? at,
      updatedAt: at,
    }),
    ...(messages.length > 0 && { branches }),
  });
  return messages.length;
}

/**
 * A branch for each message that no other follows: the longest is `main`. A lost message that the index still names holds its place.
 */
async function branchesOf(
  { sessions }: VerifiedStore,
  id: SessionId,
  messages: readonly Message[],
): Promise<Session['branches']> {
  const followed = new Set(messages.map(({ parentId }) => parentId));
  const last = messages.filter((message) => !followed.has(message.id)).reverse();
  const branches: Session['branches'] = {};
  for (const [index, { id: head, sequence }] of last.entries()) {
    const name = index === 0 ? 'main' : `recovered-${index + 1}`;
    const chain = await nullOn(sessions.chainOfMessages(id, head), 'Corrupted');
    branches[name] = { name, head, length: chain?.length ?? sequence, parentMessageId: null };
  }
  return branches;
}

async function hasNoRecord({ sessions }: VerifiedStore, id: SessionId): Promise<boolean> {
  try {
    await sessions.get(id);
    return false;
  } catch (error) {
    if (isCwmError(error, 'Corrupted')) return true;
    throw error;
  }
}

/** Oldest first. The check before has reported the damaged ones. */
async function wholeMessages({ sessions }: VerifiedStore, id: SessionId): Promise<Message[]> {
  const messages: Message[] = [];
  for (const messageId of await sessions.storedMessages(id)) {
    messages.push(...((await nullOn(sessions.loadMessages(id, [messageId]), 'Corrupted')) ?? []));
  }
  return messages.sort((a, b) => a.sequence - b.sequence);
}

/** Lineages that sessions and windows name, and that no longer exist. */
async function lostLineages({ sessions, windows, lineages, source }: VerifiedStore): Promise<LineageId[]> {
  const used = new Set<LineageId>();
  const add = async (read: () => Promise<{ readonly lineage: LineageId } | null>): Promise<void> => {
    const owner = await nullOn(read(), 'Corrupted');
    if (owner) used.add(owner.lineage);
  };
  for (const id of await source.sessionIds()) await add(() => sessions.get(id));
  for (const name of await source.windowNames()) await add(() => windows.get(name));
  const lost: LineageId[] = [];
  for (const id of used) if (!(await nullOn(lineages.get(id), 'Corrupted'))) lost.push(id);
  return lost;
}

/** The session's newest window has the facts of the lost record. */
async function lastWindowOf({ windows, source }: VerifiedStore, id: SessionId): Promise<WindowManifest | null> {
  let last: WindowManifest | null = null;
  for (const name of await source.windowNames()) {
    const window = await windows.get(name).catch(() => null);
    if (window?.session === id && (last === null || window.createdAt > last.createdAt)) last = window;
  }
  return last;
}
