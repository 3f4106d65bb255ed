import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { atMost, median, mustHold, type Benchmark, type Figure } from '../benchmark.ts';
import { withBackendOn } from '../passingBackend.ts';

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
  const text = await ask(place, { model: 'stub', stream: true, messages }, () => (first = performance.now() - started));
  mustHold(tokensIn(text) === 1, 'the answer came');
  return first;
}

/** A conversation that grows by one turn with each request, as every client sends it: all of it. */
function* conversation(name: string): Generator<object[]> {
  for (let number = 0; ; number++) {
    const messages: object[] = [{ role: 'system', content: `You are terse. ${'Rule. '.repeat(200)}` }];
    for (let turn = 0; messages.length < messagesOfConversation; turn++) {
      messages.push({ role: 'user', content: `Question ${turn} of ${name} ${number}: ${'why? '.repeat(20)}` });
      yield messages;
      messages.push({ role: 'assistant', content: 't0 ' });
    }
  }
}

async function latency(direct: Place, through: Place, count: number): Promise<Figure[]> {
  const [one, other] = [conversation('one'), conversation('one')];
  const differences: number[] = [];
  const baseline: number[] = [];
  for (let at = -50; at < count; at++) {
    const plain = await firstMs(direct, one.next().value as object[]);
    const ours = await firstMs(through, other.next().value as object[]);
    if (at < 0) continue;
    differences.push(ours - plain);
    baseline.push(plain);
  }
  const sorted = differences.toSorted((a, b) => a - b);
  const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN;
  const figure = (what: string, value: number, limit: number): Figure => ({
    ...atMost('GATEWAY', what, value, limit, count),
    baseline: { what: 'through a plain proxy, median', value: median(baseline) },
  });
  return [figure('first byte later than a plain proxy, median', median(sorted), 1), figure('the same, p99', p99, 5)];
}

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

/** The gateway in front of a server that answers at once, beside a plain proxy in front of the same server. */
export const gateway: Benchmark = {
  ids: ['GATEWAY'],
  async run(_, { whole = false }) {
    const worker = new Worker(new URL('upstream.ts', import.meta.url));
    const storage = await mkdtemp(path.join(tmpdir(), 'cwm-bench-'));
    try {
      const [ports] = (await once(worker, 'message')) as [{ readonly upstream: number; readonly proxy: number }];
      const server = `http://127.0.0.1:${ports.upstream}`;
      const args = ['--http', '127.0.0.1:0', '--engine', server];
      return await withBackendOn(
        storage,
        async (client) => {
          const { http } = await client.connect();
          const token = readFileSync(path.join(storage, 'http-token'), 'utf8').trim();
          const direct: Place = { url: `http://127.0.0.1:${ports.proxy}`, headers: {} };
          const through: Place = { url: `${http ?? ''}/p/bench`, headers: { 'x-cwm-token': token } };
          return [
            ...(await latency(direct, through, whole ? pairs.whole : pairs.usual)),
            await throughput(direct, through),
            await abort(through, server),
          ];
        },
        args,
      );
    } finally {
      agent.destroy();
      await worker.terminate();
      await rm(storage, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    }
  },
};
