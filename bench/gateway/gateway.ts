import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { Agent, request, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { atMost, mustHold, type Benchmark, type Figure } from '../benchmark.ts';
import { withBackendOn } from '../passingBackend.ts';
import type { Upstream } from './upstream.ts';

const pairs = { usual: 1000, whole: 5000 };
const messagesOfConversation = 40;
const streams = 100;
const paceMs = 20;
const tokens = 250;
const leaving = 20;

interface Place {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

const agent = new Agent({ keepAlive: true, maxSockets: 256 });

/** One streamed request. */
function ask({ url, headers }: Place, body: object, onFirst: () => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(
      `${url}/v1/chat/completions`,
      { agent, method: 'POST', headers: { ...headers, 'content-type': 'application/json' } },
      (answer: IncomingMessage) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (data: string) => {
          if (text === '') onFirst();
          text += data;
        });
        answer.on('end', () => resolve(text));
        answer.on('error', reject);
      },
    );
    sent.on('error', reject);
    sent.end(JSON.stringify(body));
  });
}

const tokensIn = (text: string): number => text.split('"content":"t').length - 1;

async function firstMs(place: Place, messages: readonly object[]): Promise<number> {
  const started = performance.now();
  let first = Number.NaN;
  const body = { model: 'stub', stream: true, max_tokens: 1, messages };
  const text = await ask(place, body, () => (first = performance.now() - started));
  mustHold(tokensIn(text) === 1, 'the answer came');
  return first;
}

/** A conversation that grows by one turn with each request, as every client sends it: all of it. Another one follows when it has `most` messages. */
function* conversation(name: string, most = messagesOfConversation): Generator<object[]> {
  for (let number = 0; ; number++) {
    const messages: object[] = [{ role: 'system', content: `You are terse. ${'Rule. '.repeat(200)}` }];
    for (let turn = 0; messages.length < most; turn++) {
      messages.push({ role: 'user', content: `Question ${turn} of ${name} ${number}: ${'why? '.repeat(20)}` });
      yield messages;
      messages.push({ role: 'assistant', content: 't0 ' });
    }
  }
}

/** @param server in words, behind the figure; empty for one of which nothing is known. */
async function latency(direct: Place, through: Place, count: number, server = ''): Promise<Figure[]> {
  const [one, other] = [conversation('one'), conversation('one')];
  const [plain, ours]: [number[], number[]] = [[], []];
  for (let at = -50; at < count; at++) {
    const [before, behind] = [
      await firstMs(direct, one.next().value as object[]),
      await firstMs(through, other.next().value as object[]),
    ];
    if (at < 0) continue;
    plain.push(before);
    ours.push(behind);
  }
  // Of two requests, each waits for its turn on its own: the difference of a pair has the waits of both.
  const figure = (what: string, share: number, limit: number): Figure => ({
    ...atMost('GATEWAY', `${what}${server}`, quantile(ours, share) - quantile(plain, share), limit, count),
    baseline: { what: `a plain proxy at ${100 * share} of 100`, value: quantile(plain, share) },
  });
  return [figure('first byte later than a plain proxy, median', 0.5, 1), figure('the same, p99', 0.99, 5)];
}

const quantile = (times: readonly number[], share: number): number =>
  times.toSorted((a, b) => a - b)[Math.floor(times.length * share)] ?? Number.NaN;

/** Tokens a second of many streams at once, as a share of what comes straight from the server. */
async function throughput(direct: Place, through: Place): Promise<Figure> {
  const run = async (place: Place): Promise<number> => {
    const started = performance.now();
    const body = (at: number): object => ({
      model: 'stub',
      stream: true,
      max_tokens: tokens,
      pace_ms: paceMs,
      messages: [{ role: 'user', content: `Stream ${at} of ${place.url}` }],
    });
    const texts = await Promise.all(Array.from({ length: streams }, (_, at) => ask(place, body(at), () => undefined)));
    const found = texts.reduce((sum, text) => sum + tokensIn(text), 0);
    mustHold(found === streams * tokens, 'every token of every stream came');
    return (1000 * found) / (performance.now() - started);
  };
  const straight = await run(direct);
  const ours = await run(through);
  return {
    id: 'GATEWAY',
    what: `tokens a second, ${streams} streams of ${1000 / paceMs} tokens/s`,
    unit: 'tokens',
    value: ours,
    baseline: { what: 'through a plain proxy', value: straight },
    ratio: ours / straight,
    wanted: '≥ 99 %',
    met: ours / straight >= 0.99,
    runs: 1,
  };
}

/** From the moment a client leaves to the end of the answer at the server. */
async function abort(through: Place, server: string): Promise<Figure> {
  const aborted = async (): Promise<number> => Number(await (await fetch(`${server}/aborted`)).text());
  const took: number[] = [];
  for (let at = 0; at < leaving; at++) {
    const before = await aborted();
    const messages = [{ role: 'user', content: `Leave ${at}` }];
    const sent = request(`${through.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { ...through.headers, 'content-type': 'application/json' },
    });
    sent.on('error', () => undefined);
    sent.end(JSON.stringify({ model: 'stub', stream: true, max_tokens: 5000, pace_ms: paceMs, messages }));
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    await once(answer, 'data');
    const left = performance.now();
    answer.on('error', () => undefined);
    sent.destroy();
    while ((await aborted()) === before) await new Promise((resolve) => setTimeout(resolve, 1));
    took.push(performance.now() - left);
  }
  return atMost(
    'GATEWAY',
    'end of the answer at the server after its client left, worst',
    Math.max(...took),
    100,
    leaving,
  );
}

/** What the backend has in memory after a collection, behind so many requests in as many conversations as there are at once. */
async function memory(through: Place, heap: () => Promise<Heap>, whole: boolean): Promise<Figure[]> {
  const requests = whole ? 12_000 : 2400;
  const most = (2 * requests) / conversationsAtOnce;
  const talks = Array.from({ length: conversationsAtOnce }, (_, at) => conversation(`talk ${at}`, most));
  const ask = async (from: number, to: number): Promise<void> => {
    for (let at = from; at < to; at += 10)
      await Promise.all(
        Array.from({ length: 10 }, (_, other) =>
          firstMs(through, talks[(at + other) % talks.length]!.next().value as object[]),
        ),
      );
  };
  // What the allocator keeps of the longest requests is there by then, and the first collection takes what only the start needed.
  const long = Array.from({ length: 10 }, (_, at) => conversation(`long ${at}`, most));
  for (let turn = 0; turn < most / 2; turn++)
    await Promise.all(long.map((talk) => firstMs(through, talk.next().value as object[])));
  await restingHeap(heap);
  await ask(0, requests / 6);
  const before = await restingHeap(heap);
  await ask(requests / 6, requests);
  const after = await restingHeap(heap);
  // Once every conversation has been as long as it gets, the allocator has all that it will keep; then others follow.
  await ask(requests, 2 * requests - requests / 6);
  const later = await restingHeap(heap);
  const figure = (what: string, value: number, first: readonly [string, number]): Figure => ({
    id: 'GATEWAY',
    what: `${what} in ${conversationsAtOnce} conversations at once`,
    unit: 'bytes',
    value,
    baseline: { what: first[0], value: first[1] },
    ratio: value / first[1],
    wanted: '± 5 %',
    met: Math.abs(value / first[1] - 1) <= 0.05,
    runs: 1,
  });
  const many = requests.toLocaleString('en-US');
  const more = ((5 * requests) / 6).toLocaleString('en-US');
  return [
    figure(`heap of the backend after a collection, ${many} requests`, after.heapUsed, [
      'after the first sixth',
      before.heapUsed,
    ]),
    figure(`its whole memory, ${more} requests later`, later.rss, [`after the first ${many}`, after.rss]),
  ];
}

const conversationsAtOnce = 100;

interface Heap {
  readonly heapUsed: number;
  readonly rss: number;
}

/** Once what passed is recorded, which takes longer than passing it: nothing is left to collect then. */
async function restingHeap(heap: () => Promise<Heap>): Promise<Heap> {
  let before = await heap();
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const now = await heap();
    if (Math.abs(now.heapUsed / before.heapUsed - 1) < 0.003) return now;
    before = now;
  }
}

async function heapOf(pid: number, file: string): Promise<Heap> {
  await rm(file, { force: true });
  process.kill(pid, 'SIGUSR2');
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const text = await readFile(file, 'utf8').catch(() => '');
    if (text !== '') return JSON.parse(text) as Heap;
  }
}

/** Workers of one run. */
class Workers {
  readonly #all: Worker[] = [];

  /** A thread for each: a proxy in the server's own would need no turn of its own. @returns its port. */
  async start(upstream: Upstream): Promise<number> {
    const worker = new Worker(new URL('upstream.ts', import.meta.url), { workerData: upstream });
    this.#all.push(worker);
    const [port] = (await once(worker, 'message')) as [number];
    return port;
  }

  async end(): Promise<void> {
    for (const worker of this.#all) await worker.terminate();
  }
}

/** A backend in front of a server of this engine's name, with the heap that it says it has. */
async function withGateway<T>(
  engine: string,
  task: (through: Place, heap: () => Promise<Heap>) => Promise<T>,
): Promise<T> {
  const storage = await mkdtemp(path.join(tmpdir(), 'cwm-bench-'));
  const heapFile = path.join(storage, 'heap.json');
  try {
    return await withBackendOn(
      storage,
      async (client) => {
        const { http, pid } = await client.connect();
        const token = readFileSync(path.join(storage, 'http-token'), 'utf8').trim();
        const through: Place = { url: `${http ?? ''}/p/bench`, headers: { 'x-cwm-token': token } };
        return task(through, () => heapOf(pid, heapFile));
      },
      // It asks a hundred times as often as an agent, and all of it is to be recorded.
      ['--http', '127.0.0.1:0', '--engine', engine, '--gateway-rate-limit', '0'],
      { NODE_OPTIONS: `--import=${new URL('heapProbe.ts', import.meta.url).href}`, CWM_HEAP_FILE: heapFile },
    );
  } finally {
    await rm(storage, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

/** The gateway in front of a server that answers at once, beside a plain proxy in front of the same server. */
export const gateway: Benchmark = {
  ids: ['GATEWAY'],
  async run(_, { whole = false }) {
    const workers = new Workers();
    const count = whole ? pairs.whole : pairs.usual;
    const local = (port: number): string => `http://127.0.0.1:${port}`;
    const proxied = async (behind: number): Promise<Place> => ({
      url: local(await workers.start({ kind: 'proxy', behind })),
      headers: {},
    });
    try {
      const plain = await workers.start({ kind: 'openai' });
      const direct = await proxied(plain);
      const figures = await withGateway(local(plain), async (through, heap) => [
        ...(await latency(direct, through, count)),
        await throughput(direct, through),
        await abort(through, local(plain)),
        ...(await memory(through, heap, whole)),
      ]);
      // What users have: a server that tells token ids, or is asked for them behind each answer, and whose requests wait for each other.
      for (const [kind, what] of [
        ['vllm', 'vLLM that tells token ids'],
        ['llama-server', 'llama-server with one slot'],
      ] as const) {
        const port = await workers.start({ kind });
        const beside = await proxied(port);
        const engine = kind === 'vllm' ? local(port) : `${local(port)}#slots=off`;
        figures.push(...(await withGateway(engine, (through) => latency(beside, through, count, `, ${what}`))));
      }
      return figures;
    } finally {
      agent.destroy();
      await workers.end();
    }
  },
};
