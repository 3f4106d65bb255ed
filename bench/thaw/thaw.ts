import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blockNames, cachedBy, EngineProcess, promptIds } from '../../test/embedded/support/engineProcess.ts';
import { mustHold, timed, type Benchmark, type Figure } from '../benchmark.ts';
import { benchModels, kvBytesPerToken, parseSizes, writeBenchModel, type BenchModel } from './models.ts';
import { dropCaches } from './pageCache.ts';
import { peakMemory } from './peakMemory.ts';
import { RawLlama, type RawTimes } from './rawLlama.ts';
import { slotTimes } from './slots.ts';

const rounds = 5;
const blockTokens = 32;
const key = '5'.repeat(64);

/** Times of one size: the fastest of all rounds, because other programs only add time. Thaw and freeze are the engine's own clock: from the
 * first read until llama.cpp has the state, and from llama.cpp's save until the last file is written. */
interface EngineTimes {
  readonly warmMs: number;
  readonly coldMs: number | null;
  readonly plainReadMs: number | null;
  readonly freezeMs: number;
  /** The same request while the KV is in memory: the tail behind the last block, and everything around it. */
  readonly tailMs: number;
  /** A whole request that loads. */
  readonly requestMs: number;
  readonly prefillMs: number;
  readonly peakBytes: number | null;
}

/**
 * KV between disk and llama.cpp: how long a thaw and a freeze take, against what the machine can do. N12, N13 and MAIN measure whole operations. `npm run bench -- THAW --sizes "small=2048,8192,32768;big=1024,4096,16384"` chooses sizes.
 */
export const thaw: Benchmark = {
  ids: ['THAW'],
  async run(signal, { sizes }) {
    const chosen = sizes === undefined ? null : parseSizes(sizes);
    const figures: Figure[] = [];
    for (const model of benchModels) {
      const tokens = chosen ? (chosen.get(model.name) ?? []) : model.defaultTokens;
      if (tokens.length > 0) figures.push(...(await measureModel(model, tokens, signal)));
    }
    return figures;
  },
};

async function measureModel(model: BenchModel, sizes: readonly number[], signal: AbortSignal): Promise<Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), 'cwm-thaw-'));
  try {
    const modelPath = join(folder, 'model.gguf');
    writeBenchModel(modelPath, model);
    const contextTokens = Math.max(...sizes) + 256;
    const clear = await measureEngine({}, modelPath, contextTokens, sizes, join(folder, 'clear'), signal);
    const raw = await RawLlama.start(modelPath, contextTokens, join(folder, 'clear'), join(folder, 'raw'));
    const rawTimes = new Map<number, RawTimes>();
    try {
      for (const size of sizes) rawTimes.set(size, await raw.measure(promptOf(size), rounds));
    } finally {
      await raw.close();
    }
    const prompts = new Map(sizes.map((size) => [size, promptOf(size)]));
    const slots = await slotTimes(modelPath, contextTokens, join(folder, 'raw'), prompts, rounds, signal);
    const env = { CWM_KV_KEY: key };
    const sealed = await measureEngine(env, modelPath, contextTokens, sizes, join(folder, 'sealed'), signal);
    return sizes.flatMap((size) => {
      const [ours, encrypted, alone] = [clear.get(size), sealed.get(size), rawTimes.get(size)];
      return ours && encrypted && alone ? rows(model, size, ours, encrypted, alone, slots.get(size) ?? null) : [];
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Prefixes of one prompt share their blocks, so that one prefill serves all sizes. Not a multiple of a block, as real prompts are not. */
const promptOf = (size: number): number[] => promptIds(size - 2, 5);

async function measureEngine(
  env: NodeJS.ProcessEnv,
  modelPath: string,
  contextTokens: number,
  sizes: readonly number[],
  kvDir: string,
  signal: AbortSignal,
): Promise<Map<number, EngineTimes>> {
  const flags = ['--model', modelPath, '--context', `${contextTokens}`, '--gpu', 'off'];
  const engine = await EngineProcess.startWith(env, kvDir, ...flags);
  const ask = async (ids: readonly number[], cached: number | null, more: object = {}): Promise<number> => {
    signal.throwIfAborted();
    const { ms, result } = await timed(() => engine.complete(ids, { max_tokens: 1, ...more }));
    mustHold(cached === null || cachedBy(result) === cached, `${cachedBy(result)} tokens were reused, not ${cached}`);
    return ms;
  };
  const added = async <T>(what: 'load' | 'store', task: () => Promise<T>) => {
    const total = (): Promise<number> => engine.metric(`cwm:kv_blocks_${what}_ms_total`);
    const before = await total();
    const result = await task();
    return { result, addedMs: (await total()) - before };
  };
  try {
    const times = new Map<number, EngineTimes>();
    for (const size of sizes) {
      const ids = promptOf(size);
      const reusable = Math.floor((ids.length - 1) / blockTokens) * blockTokens;
      const files = await Promise.all(blockNames(ids).map((hash) => engine.blockFile(hash)));
      const prefillMs = await ask(ids, null, { cache_salt: `prefill ${size}` });
      // Other blocks in memory are no longer of use, and those of this prompt are stored from here on.
      await ask(ids, null);
      const rows: Record<'tail' | 'request' | 'warm' | 'cold' | 'read' | 'freeze', number[]> = {
        tail: [],
        request: [],
        warm: [],
        cold: [],
        read: [],
        freeze: [],
      };
      let peakBytes: number | null = 0;
      const forget = (why: string): Promise<number> => ask([301, 302, 303], 0, { cache_salt: `${size} ${why}` });
      for (let round = 0; round < rounds; round++) {
        rows.tail.push(await ask(ids, reusable));
        await forget(`${round}`);
        const { bytes, result } = await peakMemory([engine.pid, engine.workerPid], () =>
          added('load', () => ask(ids, reusable)),
        );
        rows.warm.push(result.addedMs);
        rows.request.push(result.result);
        peakBytes = bytes === null || peakBytes === null ? null : Math.max(bytes, peakBytes);
        await forget(`${round} cold`);
        if (dropCaches(files)) {
          rows.cold.push((await added('load', () => ask(ids, reusable))).addedMs);
          dropCaches(files);
          rows.read.push((await timed(async () => files.forEach((path) => readFileSync(path)))).ms);
        }
        for (const path of files) rmSync(path);
        rows.freeze.push((await added('store', () => ask(ids, reusable))).addedMs);
      }
      times.set(size, {
        warmMs: Math.min(...rows.warm),
        coldMs: rows.cold.length === rounds ? Math.min(...rows.cold) : null,
        plainReadMs: rows.read.length === rounds ? Math.min(...rows.read) : null,
        freezeMs: Math.min(...rows.freeze),
        tailMs: Math.min(...rows.tail),
        requestMs: Math.min(...rows.request),
        prefillMs,
        peakBytes,
      });
    }
    return times;
  } finally {
    await engine.kill();
  }
}

function rows(
  model: BenchModel,
  size: number,
  ours: EngineTimes,
  encrypted: EngineTimes,
  raw: RawTimes,
  slots: { readonly restoreMs: number; readonly saveMs: number } | null,
): Figure[] {
  const kvBytes = kvBytesPerToken(model) * Math.floor((size - 3) / blockTokens) * blockTokens;
  const isLarge = kvBytes >= 100e6;
  const name = `${size} tokens, ${(kvBytes / 1e6).toFixed(kvBytes < 10e6 ? 1 : 0)} MB`;
  const figure = (what: string, value: number, against: string, baseline: number, wanted: number | null): Figure => ({
    id: 'THAW',
    what: `${what}, ${name}`,
    unit: 'ms',
    value,
    baseline: { what: against, value: baseline },
    ratio: value / baseline,
    wanted: wanted === null ? '' : `≤ ${wanted} times as long`,
    met: wanted === null || value / baseline <= wanted,
    runs: rounds,
  });
  const cold = (what: string, value: number | null, against: string, baseline: number | null, wanted: number | null) =>
    value === null || baseline === null ? [] : [figure(what, value, against, baseline, wanted)];
  const everything = ours.requestMs;
  const memoryLimit = Math.max(1.2 * kvBytes, 256 << 20);
  return [
    figure('thaw, warm', ours.warmMs, 'raw load', raw.warmLoadMs, isLarge ? 4 : null),
    ...cold('thaw, cold', ours.coldMs, 'plain reading', ours.plainReadMs, isLarge ? 1.5 : null),
    ...cold('thaw, cold', ours.coldMs, 'raw load, cold', raw.coldLoadMs, null),
    ...(ours.coldMs === null ? [notCold(name)] : []),
    ...(slots
      ? [
          figure('thaw, warm', ours.warmMs, "llama-server's restore", slots.restoreMs, null),
          figure('freeze', ours.freezeMs, "llama-server's save", slots.saveMs, null),
        ]
      : []),
    figure('freeze of everything', ours.freezeMs, 'raw save', raw.saveMs, isLarge ? 2 : null),
    figure('thaw, warm, encrypted', encrypted.warmMs, 'in clear', ours.warmMs, null),
    ...cold('thaw, cold, encrypted', encrypted.coldMs, 'in clear', ours.coldMs, null),
    figure('freeze of everything, encrypted', encrypted.freezeMs, 'in clear', ours.freezeMs, null),
    {
      ...figure('thaw, warm, with the tokens that must be computed', everything, 'prefill', ours.prefillMs, null),
      ratio: ours.prefillMs / everything,
      wanted: model.name === 'big' && size === 4096 ? '40 times as fast as prefill' : '',
      met: model.name !== 'big' || size !== 4096 || ours.prefillMs / everything >= 40,
    },
    {
      ...figure('the tokens that must be computed', ours.tailMs, 'prefill', ours.prefillMs, null),
      ratio: ours.prefillMs / ours.tailMs,
    },
    ...(ours.peakBytes === null
      ? []
      : [
          {
            ...figure('most memory of a thaw beyond the model', ours.peakBytes, 'KV', kvBytes, null),
            unit: 'bytes' as const,
            wanted: '≤ 1.2 times the KV, or 256 MiB',
            met: ours.peakBytes <= memoryLimit,
          },
        ]),
  ];
}

const notCold = (name: string): Figure => ({
  id: 'THAW',
  what: `thaw, cold, ${name}: not measured, because this system does not drop its caches`,
  unit: 'ms',
  value: Number.NaN,
  baseline: null,
  ratio: null,
  wanted: '',
  met: true,
  runs: 0,
});
