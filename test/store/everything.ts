import { CwmError } from '../../src/protocol/errors.ts';
import type { Files } from '../../src/store/disk/files.ts';
import type { FileStore } from '../../src/store/fileStore.ts';
import { messageId, sessionId, sessionsQuery, windowName, windowsQuery } from './builders.ts';
import { MemoryFiles } from './memoryFiles.ts';
import { fill, operations } from './operations.ts';
import { openTestStore } from './testStore.ts';

export const root = '/home/me/store';
const signal = new AbortController().signal;

/** A file of each kind, below {@link root}. */
export const storedFiles = [
  'store.json',
  'contexts/s1/metadata.json',
  'contexts/s1/message_index.jsonl',
  'contexts/s1/messages/m1.json',
  'windows/w0/manifest.json',
  'windows/w0/tokens.u32',
  'windows/w0/kv.json',
  'windows/w0/receipts.jsonl',
  'lineages/l1.json',
  'audit.jsonl',
  'audit/head.json',
  'index.sqlite',
];

/** A store with something of everything, closed. */
export async function filled(): Promise<MemoryFiles> {
  const memory = new MemoryFiles();
  const store = await openTestStore(root, { files: memory });
  await fill(store);
  await store.audit.record([{ event: 'SESSION_CREATE', outcome: 'ok', client: 'cli', session: 's1' }]);
  await store.windows.list(windowsQuery());
  await store.close();
  return memory;
}

export async function put(memory: MemoryFiles, path: string, bytes: Uint8Array): Promise<void> {
  await memory.remove(`${root}/${path}`);
  await memory.create(`${root}/${path}`, bytes);
}

/** Everything that reads, and everything that changes. @returns the codes of what failed. */
export async function useEverything(disk: Files): Promise<string[]> {
  const codes: string[] = [];
  const attempt = async (run: () => Promise<unknown>): Promise<void> => {
    try {
      await run();
    } catch (error) {
      if (!(error instanceof CwmError)) throw error;
      codes.push(
        error.code === 'CWM-9001' ? `CWM-9001 ${String(error.cause)} ${(error.cause as Error).stack}` : error.code,
      );
    }
  };
  let store: FileStore | undefined;
  await attempt(async () => (store = await openTestStore(root, { files: disk })));
  if (!store) return codes;
  const open = store;
  for (const id of ['s1', 's2'].map(sessionId)) {
    await attempt(async () => {
      const session = await open.sessions.get(id);
      if (session?.tokens) await open.sessions.loadTokens(id, session.tokens.sha256);
    });
    await attempt(() => open.messages.load(id, [messageId('m1')]));
  }
  await attempt(() => open.sessions.list(sessionsQuery()));
  await attempt(() => open.windows.list(windowsQuery()));
  await attempt(() => open.windows.get(windowName('w0')));
  await attempt(() => open.windows.loadTokens(windowName('w0')));
  await attempt(() => open.windows.loadKv(windowName('w0')));
  await attempt(() => open.receipts.list(windowName('w0')));
  await attempt(() => open.blocks.heldByOthers(['aa'], windowName('w0')));
  await attempt(() => open.space.measure(signal));
  await attempt(() => open.trash.list());
  await attempt(() => open.check.verify(signal));
  await attempt(() => open.audit.verify(signal));
  for (const operation of Object.values(operations)) await attempt(() => operation(open));
  await attempt(() => open.check.verify(signal));
  await open.close();
  return codes;
}
