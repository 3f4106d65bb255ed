import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { builtInTemplates } from '../../src/embedded/model/builtInTemplates.ts';
import { gemmaModel } from '../../test/engines/live/gemmaModel.ts';
import { startLlamaServer } from '../../test/engines/live/llamaServer.ts';
import { median, mustHold, type Benchmark, type Figure } from '../benchmark.ts';
import { withBackendOn } from '../passingBackend.ts';

/** How often the quick ones take turns, and how often they switch at once then. Straight on a server without a cache, each switch computes a whole prompt. */
const [rounds, switches] = [4, 2];
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

/** Two conversations that take turns in the one slot of a server. */
class Pair {
  readonly switchMs: number[] = [];
  readonly restedMs: number[] = [];
  readonly #place: Place;
  #one: Talk;
  /** It had the last turn. */
  #other: Talk;

  constructor(place: Place, tokens: number) {
    this.#place = place;
    this.#one = new Talk('one', tokens);
    this.#other = new Talk('other', tokens);
  }

  async begin(): Promise<void> {
    for (const talk of [this.#one, this.#other]) await talk.ask(this.#place);
  }

  /** Two switches, the second one at once behind the first, which nobody counts: others had their turns before it. */
  async switchAtOnce(): Promise<void> {
    await this.#switch();
    this.switchMs.push(await this.#switch());
  }

  async switchRested(): Promise<void> {
    this.restedMs.push(await this.#switch());
  }

  #switch(): Promise<number> {
    [this.#one, this.#other] = [this.#other, this.#one];
    return this.goOn();
  }

  /** Of the one that had the last turn. */
  async goOn(): Promise<number> {
    return (await this.#other.ask(this.#place)).firstMs;
  }
}

/** A switch after a rest, and some at once. The pairs take turns with each other, so that all meet the same machine. */
async function takeTurns(pairs: readonly Pair[], switches: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, restMs));
  for (const pair of pairs) await pair.switchRested();
  for (let turn = 0; turn < switches; turn++) for (const pair of pairs) await pair.switchAtOnce();
}

/**
 * Two conversations that share the one slot of llama-server: through the gateway, and straight on the server with and without its own cache.
 */
export const gatewaySlot: Benchmark = {
  ids: ['GATEWAY-SLOT'],
  async run(signal, { whole = false }) {
    const tokens = whole ? 8192 : 1024;
    const folder = await mkdtemp(path.join(tmpdir(), 'cwm-bench-'));
    // The file of the model has none, and that of the server has marks that this model does not know.
    const chatTemplate = path.join(folder, 'gemma.jinja');
    await writeFile(chatTemplate, builtInTemplates.gemma.source);
    const ends: (() => Promise<void>)[] = [];
    const serve = async (cacheRamMib?: number) => {
      const slotDir = await mkdtemp(path.join(folder, 'slots-'));
      const start = {
        modelPath: gemmaModel(),
        slotDir,
        servedName: 'gemma',
        chatTemplate,
        contextTokens: 2 * tokens,
        slots: 1,
        // More threads than idle cores make llama.cpp many times slower.
        threads: 1,
        ...(cacheRamMib !== undefined && { cacheRamMib }),
      };
      let server = await startLlamaServer(start, signal);
      const { url } = server;
      ends.push(() => server.stop());
      const restart = async (): Promise<void> => {
        await server.kill();
        server = await startLlamaServer({ ...start, port: Number(new URL(url).port) }, signal);
      };
      return { url, slotDir, restart };
    };
    try {
      const [none, cached, own] = [await serve(0), await serve(), await serve(0)];
      const straight = (url: string): Pair => new Pair({ url, headers: {} }, tokens);
      const storage = path.join(folder, 'storage');
      return await withBackendOn(
        storage,
        async (client) => {
          const { http } = await client.connect();
          const token = readFileSync(path.join(storage, 'http-token'), 'utf8').trim();
          const ours = new Pair({ url: `${http ?? ''}/p/bench`, headers: { 'x-cwm-token': token } }, tokens);
          const [cold, kept] = [straight(none.url), straight(cached.url)];
          for (const pair of [cold, kept, ours]) await pair.begin();
          await takeTurns([cold], 1);
          for (let round = 0; round < rounds; round++) await takeTurns([kept, ours], switches);
          const afterEnd: number[] = [];
          for (const [server, pair] of [
            [own, ours],
            [cached, kept],
          ] as const) {
            await server.restart();
            afterEnd.push(await pair.goOn());
          }
          const figure = (what: string, value: number, base: readonly [string, number], wanted: number): Figure => ({
            id: 'GATEWAY-SLOT',
            what: `${what}, ${tokens} tokens`,
            unit: 'ms',
            value,
            baseline: { what: base[0], value: base[1] },
            ratio: base[1] / value,
            wanted: wanted === 1 ? 'no worse' : `≥ ${wanted} ×`,
            met: base[1] / value >= wanted,
            runs: ours.switchMs.length,
          });
          const without = 'straight, --cache-ram 0';
          const withOwn = "straight, the server's own cache";
          const [atOnce, rested] = [median(ours.switchMs), median(ours.restedMs)];
          const switched = 'first token after a switch at once';
          const afterRest = `first token after a switch and ${restMs / 1000} s of rest`;
          return [
            figure(switched, atOnce, [without, median(cold.switchMs)], 10),
            figure(switched, atOnce, [withOwn, median(kept.switchMs)], 1),
            figure(afterRest, rested, [without, median(cold.restedMs)], 10),
            figure(afterRest, rested, [withOwn, median(kept.restedMs)], 1),
            figure('first token after the server was killed', afterEnd[0] ?? NaN, [withOwn, afterEnd[1] ?? NaN], 10),
          ];
        },
        ['--http', '127.0.0.1:0', '--engine', `${own.url}#slots=${own.slotDir}`],
      );
    } finally {
      for (const end of ends) await end();
      await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    }
  },
};
