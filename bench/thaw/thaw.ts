import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promptIds } from '../../test/embedded/support/engineProcess.ts';
import type { Benchmark, Figure } from '../benchmark.ts';
import { figuresOf, startFigure, type Prefill } from './figures.ts';
import { freshStart } from './freshStart.ts';
import { batchTokens, MeasuredEngine, reusable, type ServedModel } from './measuredEngine.ts';
import { benchModels, blockTokensOf, kvBytesPerToken, parseSizes, writeBenchModel, type BenchModel } from './models.ts';
import { RawLlama } from './rawLlama.ts';
import { Series } from './series.ts';
import { Slots } from './slots.ts';
import { writeInventedKv } from './storedKv.ts';

const key = '5'.repeat(64);

/**
 * KV between disk and llama.cpp: how long a thaw and a freeze take, against what the machine can do. N12, N13 and MAIN measure whole
 * operations. Each round measures everything once, in turns, so that a load of the machine meets all of it.
 */
export const thaw: Benchmark = {
  ids: ['THAW'],
  async run(signal, { sizes, whole = false }) {
    const chosen = sizes === undefined ? null : parseSizes(sizes);
    const figures: Figure[] = [];
    for (const model of benchModels) {
      const tokens = chosen ? (chosen.get(model.name) ?? []) : whole ? model.sizes : model.shortSizes;
      if (tokens.length > 0) figures.push(...(await measureModel(model, tokens, whole, signal)));
    }
    return figures;
  },
};

/** Prefixes of one prompt, so that one prefill serves all sizes. Not a multiple of a block, as real prompts are not. */
const promptOf = (size: number): number[] => promptIds(size - 2, 5);

async function measureModel(
  model: BenchModel,
  sizes: readonly number[],
  whole: boolean,
  signal: AbortSignal,
): Promise<Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), 'cwm-thaw-'));
  const modelPath = join(folder, 'model.gguf');
  const blockTokens = blockTokensOf(model);
  const served: ServedModel = { path: modelPath, contextTokens: Math.max(...sizes) + 256, blockTokens };
  const closing: (() => unknown)[] = [];
  try {
    writeBenchModel(modelPath, model);
    const start = async (name: string, kvKey: string | null): Promise<MeasuredEngine> => {
      const engine = await MeasuredEngine.start(served, join(folder, name), kvKey, signal);
      closing.push(() => engine.close());
      return engine;
    };
    const clear = await start('clear', null);
    const sealed = await start('sealed', key);
    const raw = await RawLlama.start(served, join(folder, 'raw'));
    closing.push(() => raw.close());
    const slots = await Slots.start(modelPath, served.contextTokens, raw.folder, signal);
    closing.push(() => slots?.stop());

    const figures: Figure[] = [];
    const measured: { readonly size: number; readonly kvBytes: number; readonly tailMs: number }[] = [];
    for (const size of sizes) {
      const ids = promptOf(size);
      const kvBytes = kvBytesPerToken(model) * reusable(ids, blockTokens);
      progress(`${model.name} model, ${size} tokens`);
      const block = { blockTokens, payloadBytes: raw.blockBytes };
      writeInventedKv(await clear.blockDir(), ids, block, null);
      writeInventedKv(await sealed.blockDir(), ids, block, Buffer.from(key, 'hex'));
      await raw.prepare(ids, await clear.blockDir());
      const hasSlots = (await slots?.prepare(raw.fileOf(ids))) === true;
      const prefill = await prefillOf(clear, ids, whole);
      const series = new Series();
      for (let round = 0; round < roundsFor(kvBytes); round++) {
        await measureRound(round, ids, { clear, sealed, raw, slots: hasSlots ? slots : null, blockTokens }, series);
      }
      figures.push(...figuresOf(model, size, kvBytes, series, prefill));
      measured.push({ size, kvBytes, tailMs: series.least('leastTail') ?? 0 });
    }
    const last = measured.findLast(({ kvBytes }) => kvBytes < hugeKvBytes);
    const files = last ? await clear.filesOf(promptOf(last.size)) : [];
    await close(closing);
    if (last) {
      progress(`${model.name} model, start with ${last.size} tokens`);
      const flags = ['--kv-dir', join(folder, 'clear'), '--threads', '1', '--model', modelPath];
      const started = await freshStart(
        [...flags, '--context', `${served.contextTokens}`, '--gpu', 'off'],
        blockTokens,
        promptOf(last.size).slice(0, reusable(promptOf(last.size), blockTokens) + 1),
        files,
        signal,
      );
      if (started) figures.push(startFigure(last.size, started, last.tailMs));
    }
    return figures;
  } finally {
    await close(closing);
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Contestants {
  readonly clear: MeasuredEngine;
  readonly sealed: MeasuredEngine;
  readonly raw: RawLlama;
  readonly slots: Slots | null;
  readonly blockTokens: number;
}

async function measureRound(
  round: number,
  ids: readonly number[],
  { clear, sealed, raw, slots, blockTokens }: Contestants,
  series: Series,
): Promise<void> {
  // One token behind the last block, so that what is computed weighs little beside what is loaded.
  const loaded = ids.slice(0, reusable(ids, blockTokens) + 1);
  for (const isCold of [true, false]) {
    const when = isCold ? 'cold' : 'warm';
    const [ours, alone] = [await clear.load(loaded, isCold), await raw.load(ids, isCold)];
    series.add(`${when}.ours`, ours?.ms);
    series.add(`${when}.place`, ours?.placeMs);
    series.add(`${when}.raw`, alone?.ms);
    series.add(`${when}.encrypted`, (await sealed.load(loaded, isCold))?.ms);
    if (isCold) {
      series.add('plainRead', await clear.plainColdRead(ids));
      continue;
    }
    const least = await clear.tail(loaded);
    series.add('leastTail', least.ms);
    series.add('processor.ours', ours && ours.processorMs - least.processorMs);
    series.add('processor.raw', alone?.processorMs);
    series.add('peak', ours?.peakBytes);
    series.add('slots.restore', await slots?.restore());
  }
  series.add('request.blocks', (await clear.load(ids, false))?.requestMs);
  series.add('tail.blocks', (await clear.tail(ids)).ms);
  series.add('freeze.tail', await clear.storeTail(ids));
  const turn = await clear.storeTurn(ids);
  series.add('freeze.turn', turn.ms);
  series.add('bytes.turn', turn.bytes);
  series.add('bytes.tail', turn.tailBytes);
  series.add('request', (await clear.load(ids, false, true))?.requestMs);
  series.add('tail', (await clear.tail(ids, true)).ms);
  const freezes = [
    async () => {
      const least = await clear.tail(loaded);
      const frozen = await clear.freeze(loaded);
      series.add('freeze.ours', frozen.ms);
      series.add('freeze.sum', frozen.sumMs);
      series.add('freeze.peak', frozen.peakBytes);
      series.add('processor.freeze', frozen.processorMs - least.processorMs);
      series.add('durable.ours', frozen.ms + frozen.syncMs);
    },
    async () => {
      const saved = await raw.save(ids);
      series.add('freeze.raw', saved.ms);
      series.add('processor.save', saved.processorMs);
      series.add('durable.raw', saved.ms + saved.syncMs);
    },
    async () => series.add('freeze.encrypted', (await sealed.freeze(loaded)).ms),
    async () => series.add('slots.save', await slots?.save()),
  ];
  // Each is the first one in turn: it finds less memory that was freed just before, and whose pages the system therefore has.
  for (const [at] of freezes.entries()) await freezes[(at + round) % freezes.length]?.();
}

/** Of such sizes, fewer rounds, and no start of an engine. */
const hugeKvBytes = 1e9;
const roundsFor = (kvBytes: number): number => (kvBytes < hugeKvBytes ? 5 : 3);

/**
 * What it takes to compute a prompt. In a short run, from its first and its last batch: in between, the time of a batch grows evenly with
 * its place.
 */
async function prefillOf(engine: MeasuredEngine, ids: readonly number[], whole: boolean): Promise<Prefill> {
  const batches = ids.length / batchTokens;
  if (whole || batches < 3) return { ms: await engine.prefill(ids, 0, ids.length), isEstimated: false };
  const last = Math.floor(batches - 1) * batchTokens;
  const [first, end] = [await engine.prefill(ids, 0, batchTokens), await engine.prefill(ids, last, last + batchTokens)];
  return { ms: ((first + end) / 2) * batches, isEstimated: true };
}

async function close(closing: (() => unknown)[]): Promise<void> {
  for (const task of closing.splice(0).reverse()) await task();
}

const progress = (what: string): void => console.error(`  ${new Date().toISOString().slice(11, 19)} ${what}`);
