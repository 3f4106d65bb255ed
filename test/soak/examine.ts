import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { sha256Hex } from '../../src/base/hash.ts';
import { encodeTokenIds } from '../../src/base/tokenIds.ts';
import type { Message, Session } from '../../src/protocol/schemas/session.ts';
import type { FileStore } from '../../src/store/fileStore.ts';
import { openStore } from '../../src/store/openStore.ts';
import type { SeenSession, SeenWindow } from './facts.ts';
import type { SeenStore } from './ledger.ts';
import { describe } from './mirror.ts';
import type { Picture } from './request.ts';

export interface Examined extends SeenStore {
  /** What is wrong whatever was acknowledged. */
  readonly problems: readonly string[];
  /** What every client has to show now. */
  readonly picture: Picture;
}

/** Opens the store that a killed backend left, reads all of it and closes it again. The caller has the lock. */
export async function examine(storage: string): Promise<Examined> {
  const { problems, ...seen } = await read(storage);
  return { ...seen, problems: [...problems, ...(await leftovers(storage))] };
}

/** What no closed store has. */
async function leftovers(storage: string): Promise<string[]> {
  const left: string[] = [];
  for (const directory of ['tmp', 'intents', 'quarantine']) {
    for (const name of await readdir(join(storage, directory))) left.push(`${directory}/${name} was left`);
  }
  return left;
}

async function read(storage: string): Promise<Examined> {
  const store = await openStore({ directory: storage, clock: systemClock });
  try {
    const steps = await store.check.verify(new AbortController().signal);
    const problems = steps.flatMap(({ step, problems }) => problems.map((problem) => `${step}: ${problem}`));
    const sessions = new Map<string, SeenSession>();
    const shown: Record<string, string> = {};
    for (const id of await store.sessions.ids()) {
      const session = await store.sessions.get(id);
      if (!session) throw new Error(`Session ${id} is listed and not there.`);
      sessions.set(id, await seenSession(store, session));
      shown[id] = describe(session);
    }
    const windows = new Map<string, SeenWindow>();
    for (const name of await store.windows.names()) windows.set(name, await seenWindow(store, name));
    return { sessions, windows, problems, picture: { sessions: sorted(shown), windows: [...windows.keys()].sort() } };
  } finally {
    await store.close();
  }
}

/** Names of the windows that the audit log tells of. */
export function auditedWindows(storage: string): Set<string> {
  const log = readFileSync(join(storage, 'audit.jsonl'), 'utf8');
  return new Set(Array.from(log.matchAll(/"window":"([^"]+)"/g), ([, name]) => name ?? ''));
}

async function seenSession(store: FileStore, session: Session): Promise<SeenSession> {
  const id = session.id;
  const messageIds = await store.messages.chain(id, session.branches[session.activeBranch]?.head ?? null);
  const messages = await store.messages.load(id, messageIds);
  return {
    texts: messages.map(textOf),
    ids: session.tokens && (await store.sessions.loadTokens(id, session.tokens.sha256)),
    sha256: session.tokens?.sha256 ?? null,
    frozenAs: session.frozenAs,
    draft: session.draft,
  };
}

async function seenWindow(
  store: FileStore,
  name: Awaited<ReturnType<FileStore['windows']['names']>>[number],
): Promise<SeenWindow> {
  const manifest = await store.windows.get(name);
  if (!manifest) throw new Error(`Window ${name} is listed and not there.`);
  const messages = await store.messages.load(manifest.session, manifest.messageIds);
  const ids = await store.windows.loadTokens(name);
  const { blocks } = await store.windows.loadKv(name);
  return {
    session: manifest.session,
    texts: messages.map(textOf),
    ids,
    sha256: sha256Hex(encodeTokenIds(ids)),
    pinned: await store.windows.isPinned(name),
    blocks: blocks.map(({ hash }) => hash),
  };
}

const textOf = ({ content }: Message): string => (content.type === 'text' ? content.text : JSON.stringify(content));

export const sorted = (record: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
