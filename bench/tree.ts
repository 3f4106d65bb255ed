import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { zstdCompressSync } from 'node:zlib';
import type { BackendClient } from '../src/client/backendClient.ts';
import { mustHold, type Benchmark, type Figure } from './benchmark.ts';
import { withBackendOn } from './passingBackend.ts';
import { realKv } from './realKv.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const branches = 3;
const turns = 3;

/**
 * S0-51: what sharing saves on a tree of ten windows (a context, and three branches of three turns, each frozen), and what zstd would save on
 * the records and the KV of these windows, and on KV of a real model, since that of the generated one is of random weights.
 */
export const tree: Benchmark = {
  ids: ['S0-51'],
  async run(signal) {
    const storage = await mkdtemp(path.join(tmpdir(), 'cwm-bench-'));
    try {
      return await withBackendOn(storage, async (client) => {
        await grow(client, signal);
        const { kv, items } = await client.call('usage', {}, { signal });
        const alone = items.reduce((sum, window) => sum + (window.kv?.bytes ?? 0), 0);
        mustHold(items.length === 1 + branches * turns, `there are ${items.length} windows`);
        const saved = alone / kv.windowBytes;
        return [
          {
            id: 'S0-51',
            what: `KV of ${items.length} windows on the disk`,
            unit: 'bytes',
            value: kv.windowBytes,
            baseline: { what: 'of each window by itself', value: alone },
            ratio: saved,
            wanted: 'at most half',
            met: saved >= 2,
            runs: 1,
          },
          await compressed('records of these windows, zstd', storage, (name) => !name.startsWith('kv/')),
          await compressed('KV of the generated model, zstd', storage, (name) => name.endsWith('.kv')),
          ...(await realKv(signal)),
        ];
      });
    } finally {
      await rm(storage, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    }
  },
};

async function grow(client: BackendClient, signal: AbortSignal): Promise<void> {
  await client.call('createSession', { id: 'trunk', engine: 'embedded' }, { signal });
  await client.call(
    'prime',
    { session: 'trunk', paths: ['src/base', 'src/core'], cwd: root, maxTokens: 2048 },
    { signal },
  );
  await client.call('freeze', { session: 'trunk', window: 'trunk', checkpoint: true }, { signal });
  for (let branch = 0; branch < branches; branch++) {
    const session = `branch-${branch}`;
    await client.call('thaw', { window: 'trunk', session }, { signal });
    for (let turn = 0; turn < turns; turn++) {
      await client.call('send', { session, text: `Question ${branch}.${turn}?`, maxTokens: 32 }, { signal });
      const window = `${session}-${turn}`;
      await client.call('freeze', { session, window, checkpoint: true }, { signal });
    }
  }
}

/** Each file by itself, as it would be stored. */
async function compressed(what: string, storage: string, isMeant: (name: string) => boolean): Promise<Figure> {
  const entries = await readdir(storage, { recursive: true, withFileTypes: true });
  const names = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  const meant = names.filter((name) => isMeant(path.relative(storage, name).replaceAll(path.sep, '/')));
  const files = await Promise.all(
    meant.filter((name) => /\.(?:json|jsonl|u32|kv)$/.test(name)).map((name) => readFile(name)),
  );
  const [plain, packed] = [files, files.map((bytes) => zstdCompressSync(bytes))].map((list) =>
    list.reduce((sum, { length }) => sum + length, 0),
  ) as [number, number];
  const ratio = plain / packed;
  const wanted = 'nothing: see docs/space.md';
  return {
    id: 'S0-51',
    what,
    unit: 'bytes',
    value: packed,
    baseline: { what: 'as stored', value: plain },
    ratio,
    wanted,
    met: true,
    runs: 1,
  };
}
