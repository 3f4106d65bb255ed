import { sha256Hex } from '../../src/base/hash.ts';
import { encodeTokenIds } from '../../src/base/tokenIds.ts';
import type { SessionQuery } from '../../src/core/ports/sessions.ts';
import type { WindowQuery } from '../../src/core/ports/windows.ts';
import type { RecoveryPoint, StoredState } from '../../src/core/ports/states.ts';
import type { Checkpoint } from '../../src/protocol/schemas/checkpoint.ts';
import type { Receipt } from '../../src/protocol/schemas/receipt.ts';
import { newSession, type ContextTokens, type Message, type Session } from '../../src/protocol/schemas/session.ts';
import type { BlockRecord, KvRecord, WindowManifest } from '../../src/protocol/schemas/window.ts';
import { lineageId, messageId, sessionId } from '../support/ids.ts';
import { aReceipt as aReceiptOf } from '../support/aReceipt.ts';
import type { Plain } from '../support/plain.ts';

export { lineageId, messageId, projectUri, sessionId, windowName } from '../support/ids.ts';

export const startTime = '2026-03-01T10:00:00.000Z';

export const contextTokens = (ids: readonly number[]): ContextTokens => ({
  count: ids.length,
  sha256: sha256Hex(encodeTokenIds(ids)),
  source: 'engine',
  promptCount: ids.length,
  messageCount: 1,
});

export const aSession = (overrides: Plain<Partial<Session>> = {}): Session =>
  ({
    ...newSession({
      id: sessionId('s1'),
      title: 'A session',
      project: null,
      engine: 'embedded',
      model: { id: 'tiny', root: null, maxModelLen: 4096, fingerprint: null },
      lineage: lineageId('l1'),
      createdAt: startTime,
    }),
    ...overrides,
  }) as Session;

export const mainBranch = (messageIds: readonly string[]): Session['branches'] => ({
  main: { name: 'main', head: messageId(messageIds.at(-1)!), length: messageIds.length, parentMessageId: null },
});

export const nextVersion = (session: Session, overrides: Plain<Partial<Session>> = {}): Session =>
  ({ ...session, ...overrides, version: session.version + 1 }) as Session;

export const aMessage = (id: string, sequence: number, text = `text of ${id}`): Message => ({
  id: messageId(id),
  role: 'user',
  parentId: sequence > 1 && /^m\d+$/.test(id) ? messageId(`m${sequence - 1}`) : null,
  sequence,
  content: { type: 'text', text },
  createdAt: startTime,
});

export const someIds = [1, 2, 3, 70_000, 151_645];

export const aManifest = (overrides: Plain<Partial<WindowManifest>> = {}): WindowManifest =>
  ({
    formatVersion: 1,
    name: 'w1',
    description: '',
    tags: [],
    session: 's1',
    mode: 'checkpoint',
    branch: 'main',
    messageIds: [],
    parentWindow: null,
    project: null,
    lineage: 'l1',
    tokens: contextTokens(someIds),
    model: { id: 'tiny', root: null, maxModelLen: 4096, fingerprint: null },
    engine: 'embedded',
    createdAt: startTime,
    ...overrides,
  }) as WindowManifest;

export const aBlock = (hash: string): BlockRecord => ({
  hash,
  sizeBytes: 4096,
  checksum: sha256Hex(hash),
  mtimeNs: '1700000000000000001',
  ctimeNs: '1700000000000000002',
  inode: '42',
});

export const aKvRecord = (overrides: Partial<KvRecord> = {}): KvRecord => ({
  saltGeneration: 0,
  engineKind: 'embedded',
  engineVersion: '1',
  blockTokens: 16,
  hashProfile: { algorithm: 'sha256_cbor', seed: 'vllm-none-hash', saltEncoding: 'tagged' },
  canary: null,
  canaryIsExact: true,
  prefixCanaries: [],
  handle: null,
  kvBytes: 8192,
  blocks: [aBlock('aa'), aBlock('bb')],
  ...overrides,
});

export const aReceipt = (overrides: Plain<Partial<Receipt>> = {}): Receipt =>
  aReceiptOf({
    session: 's1',
    window: 'w1',
    tokens: 5,
    promptTokens: 5,
    cachedTokens: 4,
    floorTokens: 4,
    blockTokens: 4,
    kvBytes: 8192,
    counters: {},
    at: startTime,
    ...overrides,
  });

export const aCheckpoint = (manifest: Plain<Partial<WindowManifest>> = {}, kv: KvRecord = aKvRecord()): Checkpoint => ({
  manifest: aManifest({ name: 'auto-s1', ...manifest }),
  kv,
  receipt: aReceipt({ operation: 'checkpoint', window: 'auto-s1' }),
});

export const aState = (overrides: Partial<StoredState> = {}): StoredState => ({
  version: 1,
  lastUpdated: startTime,
  data: { goal: 'ice' },
  metadata: { from: 'a test' },
  base: null,
  ...overrides,
});

/** @param id eight hexadecimal digits. */
export const aPoint = (
  id: string,
  overrides: Plain<Partial<Omit<RecoveryPoint, 'conversation'>>> = {},
): Omit<RecoveryPoint, 'conversation'> => {
  const { base: _, ...state } = aState();
  return { id, session: 's1', at: startTime, reason: 'update', state, ...overrides } as Omit<
    RecoveryPoint,
    'conversation'
  >;
};

export const sessionsQuery = (overrides: Partial<SessionQuery> = {}): SessionQuery => ({
  limit: 100,
  offset: 0,
  ...overrides,
});

export const windowsQuery = (overrides: Partial<WindowQuery> = {}): WindowQuery => ({
  sortBy: 'name',
  order: 'asc',
  limit: 100,
  offset: 0,
  ...overrides,
});
