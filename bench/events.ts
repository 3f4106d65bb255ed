import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { composeServices } from '../src/backend/compose.ts';
import { startBackend } from '../src/backend/runningBackend.ts';
import type { NamedEvent } from '../src/protocol/signals.ts';
import { mustHold, type Benchmark } from './benchmark.ts';

const seconds = 5;
const perSecond = 1000;
const clients = 20;
const pulls = 100;

/** Programs of other people, in a thread of their own: all but the first read, and note how old each event is. */
const readers = `
const { parentPort, workerData } = require('node:worker_threads');
const { get } = require('node:http');
const { url, token, clients, total } = workerData;
const now = () => performance.timeOrigin + performance.now();
const ages = [];
let [listening, done, resyncs] = [0, 0, 0];
for (let client = 0; client < clients; client++) {
  get(url + '/api/events?named=true', { headers: { authorization: 'Bearer ' + token }, agent: false }, (answer) => {
    if (client === 0) {
      answer.pause();
      if (++listening === clients) parentPort.postMessage('listening');
      return;
    }
    answer.setEncoding('utf8');
    let [rest, heard] = ['', 0];
    answer.on('data', (text) => {
      const blocks = (rest + text).split('\\n\\n');
      rest = blocks.pop();
      const at = now();
      for (const block of blocks) {
        if (block.startsWith('event: Resync')) resyncs++;
        if (block.startsWith('event: Heartbeat') && ++listening === clients) parentPort.postMessage('listening');
        if (!block.startsWith('event: MessageCreated')) continue;
        ages.push(at - Number(/"message_id":"([0-9.]+)"/.exec(block)[1]));
        if (++heard === total && ++done === clients - 1) parentPort.postMessage({ ages, resyncs });
      }
    });
  });
}
parentPort.on('message', () => process.exit(0));
`;

/** 1,000 events a second to 20 programs on TCP, one of which never reads. */
export const events: Benchmark = {
  ids: ['EVENTS', 'N8'],
  async run() {
    const storage = await mkdtemp(path.join(tmpdir(), 'cwm-events-'));
    const tokenFile = path.join(storage, 'token');
    let tell: (event: NamedEvent) => void = () => undefined;
    const compose = composeServices({ defaultEngine: 'embedded', embeddedArgs: [], ratePerMinute: 0 });
    const backend = await startBackend(
      { storage, idleMs: 0, graceMs: 0, http: { address: '127.0.0.1:0', remote: false, tokenFile } },
      (...parts) => {
        tell = parts[6];
        return compose(...parts);
      },
    );
    if (!backend) throw new Error('The directory is taken.');
    const token = (await readFile(tokenFile, 'utf8')).trim();
    const total = seconds * perSecond;
    // Before anybody listens, who would hear of what is imported.
    const pulling = await pulled(backend.record.http ?? '', token);
    const worker = new Worker(readers, {
      eval: true,
      workerData: { url: backend.record.http, token, clients, total },
    });
    try {
      await once(worker, 'message');
      const cpuBefore = process.threadCpuUsage();
      const startedMs = performance.now();
      const heard = once(worker, 'message');
      for (let sent = 0; sent < total;) {
        const due = Math.min(total, Math.floor(((performance.now() - startedMs) / 1000) * perSecond));
        for (; sent < due; sent++) {
          const message_id = (performance.timeOrigin + performance.now()).toFixed(3);
          tell({ name: 'MessageCreated', data: { context_id: 's', message_id, role: 'user' } });
        }
        await delay(2);
      }
      const [{ ages, resyncs }] = (await heard) as [{ ages: number[]; resyncs: number }];
      const { user, system } = process.threadCpuUsage(cpuBefore);
      const cpuMs = (user + system) / 1000 / seconds;
      mustHold(ages.length === total * (clients - 1) && resyncs === 0, 'every event reached every client that reads');
      const sorted = ages.toSorted((a, b) => a - b);
      const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
      const common = { id: 'N8', unit: 'ms', baseline: null, ratio: null, runs: ages.length } as const;
      return [
        {
          ...common,
          what: `age of an event at one of ${clients - 1} programs, ${perSecond} a second, one more never reads: median`,
          value: at(0.5),
          wanted: 'below 20 ms',
          met: at(0.5) < 20,
        },
        { ...common, what: 'the same, 99 of 100', value: at(0.99), wanted: 'below 100 ms', met: at(0.99) < 100 },
        {
          ...common,
          what: "the backend's CPU time for a second of it",
          value: cpuMs,
          wanted: 'below 500 ms',
          met: cpuMs < 500,
        },
        {
          ...common,
          what: `${pulls} programs pull 50 messages each at once, until the last one has them`,
          value: pulling,
          wanted: 'below 1,000 ms',
          met: pulling < 1000,
          runs: pulls,
        },
      ];
    } finally {
      worker.postMessage('end');
      await backend.stop('the benchmark is over');
      await rm(storage, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    }
  },
};

/** How long it takes until programs that ask for messages at the same time all have them. */
async function pulled(url: string, token: string): Promise<number> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const messages = Array.from({ length: 50 }, (_, at) => ({
    role: at % 2 === 0 ? 'user' : 'assistant',
    content: `Message ${at}`,
  }));
  const body = JSON.stringify({ id: 'pulled', content: JSON.stringify(messages) });
  const imported = await fetch(`${url}/api/import`, { method: 'POST', headers, body });
  mustHold(imported.ok, `there is a conversation to pull (${imported.status})`);
  const startedMs = performance.now();
  const all = await Promise.all(
    Array.from({ length: pulls }, async () => {
      const answer = await fetch(`${url}/api/contexts/pulled/messages?limit=50`, { headers });
      return (await answer.json()) as { items: unknown[] };
    }),
  );
  const ms = performance.now() - startedMs;
  mustHold(
    all.every(({ items }) => items.length === 50),
    'every pull has every message',
  );
  return ms;
}
