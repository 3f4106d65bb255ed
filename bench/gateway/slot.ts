import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gemmaModel } from '../../test/engines/live/gemmaModel.ts';
import { startLlamaServer } from '../../test/engines/live/llamaServer.ts';
import { median, mustHold, type Benchmark, type Figure } from '../benchmark.ts';
import { withBackendOn } from '../passingBackend.ts';

/** Turns of each conversation after its first, without a rest before them and with one. */
const rounds = 2;
/** People rest longer than that between two turns; the gateway saves a conversation after two seconds. */
const restMs = 3000;

interface Said {
  readonly role: string;
  readonly content: string;
}

interface Place {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface Asked {
  readonly firstMs: number;
  readonly text: string;
  readonly reused: number;
}

/** One streamed answer of a few tokens. A comment of the gateway is no first token. */
async function ask({ url, headers }: Place, messages: readonly Said[]): Promise<Asked> {
  const started = performance.now();
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    // llama-server closes a connection that rests, perhaps while the next request is on its way.
    headers: { ...headers, 'content-type': 'application/json', connection: 'close' },
    body: JSON.stringify({
      model: 'gemma',
      messages,
      stream: true,
      max_tokens: 4,
      temperature: 0,
      stream_options: { include_usage: true },
    }),
  });
  let [all, firstMs] = ['', 0];
  for await (const data of answer.body as unknown as AsyncIterable<Uint8Array>) {
    all += Buffer.from(data).toString();
    if (firstMs === 0 && /"content":"[^"]/.test(all)) firstMs = performance.now() - started;
  }
  mustHold(firstMs > 0, `an answer came: ${all.slice(0, 200)}`);
  const text = [...all.matchAll(/"content":("(?:[^"\\]|\\.)*")/g)].map(
    ([, said]) => JSON.parse(said ?? '""') as string,
  );
  return { firstMs, text: text.join(''), reused: Number(/"cached_tokens":(\d+)/.exec(all)?.[1] ?? 0) };
}

const tokensOfRule = 14;

/** A conversation whose system prompt has about so many tokens. */
class Talk {
  readonly #messages: Said[];

  constructor(name: string, tokens: number) {
    const rules = Array.from(
      { length: Math.ceil(tokens / tokensOfRule) },
      (_, at) => `Rule ${at} of ${name}: be brief and kind.`,
    );
    this.#messages = [{ role: 'system', content: rules.join('\n') }];
  }

  async ask(place: Place): Promise<Asked> {
    this.#messages.push({ role: 'user', content: `Question ${this.#messages.length}?` });
    const asked = await ask(place, this.#messages);
    this.#messages.push({ role: 'assistant', content: asked.text });
    return asked;
  }
}

interface Seen {
  readonly switchMs: number;
  readonly restedMs: number;
  readonly afterRestartMs: number;
}

/** A, B, A, B … on a server with one slot, at once and with a rest before each; then the server ends, and A goes on. */
async function switching(place: Place, tokens: number, restart: () => Promise<void>): Promise<Seen> {
  const [one, other] = [new Talk('one', tokens), new Talk('other', tokens)];
  for (const talk of [one, other]) await talk.ask(place);
  const turns = async (rest: number): Promise<number> => {
    const switched: number[] = [];
    for (let round = 0; round < rounds; round++)
      for (const talk of [one, other]) {
        await new Promise((resolve) => setTimeout(resolve, rest));
        switched.push((await talk.ask(place)).firstMs);
      }
    return median(switched);
  };
  const switchMs = await turns(0);
  const restedMs = await turns(restMs);
  await restart();
  return { switchMs, restedMs, afterRestartMs: (await one.ask(place)).firstMs };
}

/** Two conversations that share the one slot of llama-server: through the gateway, and straight on the server with and without its own cache. */
export const gatewaySlot: Benchmark = {
  ids: ['GATEWAY-SLOT'],
  async run(signal, { whole = false }) {
    const tokens = whole ? 8192 : 1024;
    const folder = await mkdtemp(path.join(tmpdir(), 'cwm-bench-'));
    const on = async (
      cacheRamMib: number | undefined,
      task: (url: string, restart: () => Promise<void>) => Promise<Seen>,
    ): Promise<Seen> => {
      const slotDir = await mkdtemp(path.join(folder, 'slots-'));
      const start = {
        modelPath: gemmaModel(),
        slotDir,
        servedName: 'gemma',
        contextTokens: 2 * tokens,
        slots: 1,
        // More threads than idle cores make llama.cpp many times slower.
        threads: 1,
        ...(cacheRamMib !== undefined && { cacheRamMib }),
      };
      let server = await startLlamaServer(start, signal);
      const port = Number(new URL(server.url).port);
      try {
        return await task(`${server.url}#slots=${slotDir}`, async () => {
          await server.kill();
          server = await startLlamaServer({ ...start, port }, signal);
        });
      } finally {
        await server.stop();
      }
    };
    const straight = (url: string, restart: () => Promise<void>): Promise<Seen> =>
      switching({ url: url.split('#')[0] ?? '', headers: {} }, tokens, restart);
    const through = (url: string, restart: () => Promise<void>): Promise<Seen> => {
      const storage = path.join(folder, 'storage');
      return withBackendOn(
        storage,
        async (client) => {
          const { http } = await client.connect();
          const token = readFileSync(path.join(storage, 'http-token'), 'utf8').trim();
          return switching({ url: `${http ?? ''}/p/bench`, headers: { 'x-cwm-token': token } }, tokens, restart);
        },
        ['--http', '127.0.0.1:0', '--engine', url],
      );
    };
    try {
      const cold = await on(0, straight);
      const cached = await on(undefined, straight);
      const ours = await on(0, through);
      const figure = (what: string, value: number, base: string, baseline: number, wanted: number): Figure => ({
        id: 'GATEWAY-SLOT',
        what: `${what}, ${tokens} tokens`,
        unit: 'ms',
        value,
        baseline: { what: base, value: baseline },
        ratio: baseline / value,
        wanted: wanted === 1 ? 'no worse' : `≥ ${wanted} ×`,
        met: baseline / value >= wanted,
        runs: 2 * rounds,
      });
      const none = 'straight, --cache-ram 0';
      const own = "straight, the server's own cache";
      return [
        figure('first token after a switch at once', ours.switchMs, none, cold.switchMs, 10),
        figure('first token after a switch at once', ours.switchMs, own, cached.switchMs, 1),
        figure(`first token after a switch and ${restMs / 1000} s of rest`, ours.restedMs, none, cold.restedMs, 10),
        figure(`first token after a switch and ${restMs / 1000} s of rest`, ours.restedMs, own, cached.restedMs, 1),
        figure('first token after the server was killed', ours.afterRestartMs, own, cached.afterRestartMs, 10),
      ];
    } finally {
      await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    }
  },
};
