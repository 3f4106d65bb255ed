import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import type { BackendClient } from '../src/client/backendClient.ts';
import { openStore } from '../src/store/openStore.ts';
import { aMessage } from '../test/store/builders.ts';
import { atMost, median, mustHold, timed, type Benchmark, type Figure } from './benchmark.ts';
import { fillStore } from './bigStore.ts';
import { withBackendOn } from './passingBackend.ts';
import { sessionId } from '../test/support/ids.ts';

const runs = 15;
const messages = 10_000;
const mebibyte = 1024 * 1024;

/** Lists, statuses, a very long session and the backend's memory, in a small and in the largest store that is allowed. */
export const scale: Benchmark = {
  ids: ['N6', 'N14', 'N16'],
  async run(signal) {
    const figures: Figure[] = [];
    for (const { sessions, windows } of [
      { sessions: 100, windows: 1000 },
      { sessions: 999, windows: 10_000 },
    ]) {
      const storage = await mkdtemp(path.join(tmpdir(), 'cwm-bench-'));
      try {
        await fillStore(storage, { sessions, windows, messages });
        figures.push(...(await withBackendOn(storage, (client) => asked(client, windows, signal))));
        figures.push(...(await withBackendOn(storage, (client) => startedAgain(client, windows, signal))));
        if (windows === 10_000) figures.push(...(await addedMessage(storage)));
      } finally {
        await rm(storage, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
      }
    }
    return figures;
  },
};

async function asked(client: BackendClient, windows: number, signal: AbortSignal): Promise<Figure[]> {
  const of = named(windows);
  const ask = async (task: () => Promise<unknown>): Promise<number> => {
    const times: number[] = [];
    for (let run = 0; run < runs; run++) times.push((await timed(task)).ms);
    return median(times);
  };
  const first = await timed(() => client.call('listWindows', { limit: 20 }, { signal }));
  mustHold(first.result.total === windows, `there are ${of}`);
  const list = await ask(() => client.call('listWindows', { limit: 20 }, { signal }));
  const searched = await ask(() => client.call('listWindows', { search: 'number 77', limit: 20 }, { signal }));
  const status = await ask(() => client.call('getWindow', { window: 'w-500' }, { signal }));
  const health = await ask(() => client.call('health', {}, { signal }));
  const metadata = await ask(() => client.call('getSession', { session: 'long' }, { signal }));
  const lastPage = { session: 'long', limit: 100, offset: messages - 100 };
  const page = await ask(() => client.call('listMessages', lastPage, { signal }));
  const { pid } = await client.call('health', {}, { signal });
  const memory = await residentBytes(pid);
  return [
    atMost('N14', `start of the backend and first list, without an index, ${of}`, first.ms, 10_000, 1),
    atMost('N14', `list, ${of}`, list, 50, runs),
    atMost('N14', `list with a search, ${of}`, searched, 50, runs),
    atMost('N14', `status of a window, ${of}`, status, 100, runs),
    atMost('N14', `health, ${of}`, health, 100, runs),
    atMost('N6', `open a session of ${messages} messages: metadata, ${of}`, metadata, 50, runs),
    atMost('N6', `its last 100 messages, ${of}`, page, 100, runs),
    ...(memory === null ? [] : [bytesAtMost('N16', `memory of the backend, ${of}`, memory, 200 * mebibyte)]),
  ];
}

async function startedAgain(client: BackendClient, windows: number, signal: AbortSignal): Promise<Figure[]> {
  const { ms } = await timed(() => client.call('listWindows', { limit: 20 }, { signal }));
  return [atMost('N14', `start of the backend and first list, ${named(windows)}`, ms, 2000, 1)];
}

const named = (windows: number): string => `${windows.toLocaleString('en-US')} windows`;

/** What one more message costs the store, with every fsync. */
async function addedMessage(storage: string): Promise<Figure[]> {
  const store = await openStore({ directory: storage, clock: systemClock });
  const id = sessionId('long');
  try {
    const before = new Set(await readdir(storage, { recursive: true }));
    const times: number[] = [];
    for (let run = 0; run < runs; run++) {
      const message = aMessage(`added-${run}`, messages + run + 1);
      times.push((await timed(() => store.messages.append(id, [message]))).ms);
    }
    const after = await readdir(storage, { recursive: true });
    const made = after.filter((name) => !before.has(name)).length;
    const session = await stat(path.join(storage, 'contexts', id, 'metadata.json'));
    return [
      atMost('N6', `add a message to ${messages}, durably`, median(times), 50, runs),
      {
        id: 'N6',
        what: `files that ${runs} added messages made`,
        unit: 'files',
        value: made,
        baseline: null,
        ratio: null,
        wanted: `at most ${runs}`,
        met: made <= runs,
        runs: 1,
      },
      bytesAtMost('N6', `metadata of a session of ${messages} messages`, session.size, mebibyte),
    ];
  } finally {
    await store.close();
  }
}

/** Null where the system has no such file. */
async function residentBytes(pid: number): Promise<number | null> {
  try {
    const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kibibytes === undefined ? null : Number(kibibytes) * 1024;
  } catch {
    return null;
  }
}

const bytesAtMost = (id: string, what: string, value: number, limit: number): Figure => ({
  id,
  what,
  unit: 'bytes',
  value,
  baseline: null,
  ratio: null,
  wanted: `< ${limit / mebibyte} MiB`,
  met: value < limit,
  runs: 1,
});
