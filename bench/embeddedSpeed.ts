import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EngineProcess } from '../test/embedded/support/engineProcess.ts';
import { engineRecipes } from '../test/engines/live/engineRecipe.ts';
import { gemmaModel } from '../test/engines/live/gemmaModel.ts';
import { installedPython } from '../test/engines/live/installEngine.ts';
import { startLlamaServer } from '../test/engines/live/llamaServer.ts';
import { median, mustHold, type Benchmark, type Figure } from './benchmark.ts';

const rounds = 5;
const promptTokens = 512;
const answerTokens = 32;
const wantedPrefill = 1;
const wantedDecode = 0.95;

interface Speed {
  readonly prefillMs: number;
  readonly decodeMs: number;
}

/** The embedded engine and llama-server, in turns, over the same file with one thread. Needs both installed. */
export const embeddedSpeed: Benchmark = {
  ids: ['EMBEDDED'],
  run: async (signal) => {
    const missing = (['gemma', 'llama-server'] as const).filter((name) => !installedPython(engineRecipes[name]));
    if (missing.length > 0) {
      console.error(`Left out, because something is not installed. Run: npm run engines:install ${missing.join(' ')}`);
      return [];
    }
    const modelPath = gemmaModel();
    const folder = await mkdtemp(join(tmpdir(), 'cwm-speed-'));
    const server = await startLlamaServer({ modelPath, contextTokens: 2048, slots: 1, threads: 1 }, signal);
    const ours = await EngineProcess.start(
      join(folder, 'kv'),
      '--model',
      modelPath,
      '--context',
      '2048',
      '--gpu',
      'off',
    );
    try {
      const speeds: { ours: Speed; theirs: Speed }[] = [];
      for (let round = 0; round <= rounds; round++) {
        signal.throwIfAborted();
        // Other ids each time, so that no server reuses anything; the first round warms up.
        const prompt = Array.from(
          { length: promptTokens },
          (_, at) => 1000 + ((at * 7919 + round * 104_729) % 100_000),
        );
        const pair = { ours: await speedOf(ours.url, prompt), theirs: await speedOf(server.url, prompt) };
        if (round > 0) speeds.push(pair);
      }
      return [
        figure('prefill', speeds, ({ prefillMs }) => prefillMs, wantedPrefill),
        figure('decode', speeds, ({ decodeMs }) => decodeMs, wantedDecode),
      ];
    } finally {
      await ours.kill();
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

/** Measured by a client's clock, because that works the same for both servers. */
async function speedOf(url: string, prompt: readonly number[]): Promise<Speed> {
  const ask = async (tokens: number): Promise<number> => {
    const started = performance.now();
    const response = await fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt, max_tokens: tokens, temperature: 0, ignore_eos: true, cache_prompt: true }),
    });
    mustHold(response.ok, `${url} answered ${response.status}`);
    const { usage } = (await response.json()) as { usage: { completion_tokens: number } };
    mustHold(usage.completion_tokens === tokens, `${usage.completion_tokens} of ${tokens} tokens came`);
    return performance.now() - started;
  };
  const prefillMs = await ask(1);
  // The prompt is in the cache now, so what is left is the answer.
  return { prefillMs, decodeMs: await ask(answerTokens) };
}

function figure(
  what: string,
  speeds: readonly { readonly ours: Speed; readonly theirs: Speed }[],
  of: (speed: Speed) => number,
  wanted: number,
): Figure {
  // Ratios of pairs that ran one after the other, so that a temporary load affects both.
  const ratio = median(speeds.map(({ ours, theirs }) => of(theirs) / of(ours)));
  return {
    id: 'EMBEDDED',
    what: `${what} of the embedded engine, Gemma 3 270M, one thread`,
    unit: 'ms',
    value: median(speeds.map(({ ours }) => of(ours))),
    baseline: { what: 'llama-server', value: median(speeds.map(({ theirs }) => of(theirs))) },
    ratio,
    wanted: `${wanted} × as fast or more`,
    met: ratio >= wanted,
    runs: speeds.length,
  };
}
