import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { headBytes } from '../src/embedded/kv/files/blockFile.ts';
import { EngineProcess } from '../test/embedded/support/engineProcess.ts';
import { gemmaModel } from '../test/engines/live/gemmaModel.ts';
import { mustHold, notMeasured, type Figure } from './benchmark.ts';

/** Text that means something: what KV of real text compresses to depends on it. */
const textPath = fileURLToPath(new URL('../docs/architecture.md', import.meta.url));
const mostCharacters = 3000;
const kinds = { '.kv': 'rows', '.state': 'position states' } as const;

/**
 * S0-51: what zstd saves on KV of a real model, as llama.cpp has it in f16 and in q8_0, and how fast. None where the model is not installed
 * (`npm run engines:install gemma`).
 */
export async function realKv(signal: AbortSignal): Promise<Figure[]> {
  const model = installedModel();
  if (model === null) return [notInstalled];
  const text = (await readFile(textPath, 'utf8')).slice(0, mostCharacters);
  const figures: Figure[] = [];
  for (const kvType of ['f16', 'q8_0']) {
    const folder = await mkdtemp(path.join(tmpdir(), 'cwm-bench-'));
    try {
      await compute(model, folder, kvType, text, signal);
      for (const [ending, kind] of Object.entries(kinds)) {
        const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(ending));
        const bodies = await Promise.all(
          names.map(async (name) => (await readFile(path.join(folder, name))).subarray(headBytes)),
        );
        mustHold(bodies.length > 0, `there are ${kind}`);
        figures.push(packed(`${kind} of ${names.length} files of Gemma 3 270M in ${kvType}, zstd level 1`, bodies));
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  return figures;
}

function installedModel(): string | null {
  try {
    return gemmaModel();
  } catch {
    return null;
  }
}

/** Has an engine of its own compute and store the text. */
async function compute(
  model: string,
  folder: string,
  kvType: string,
  text: string,
  signal: AbortSignal,
): Promise<void> {
  const flags = ['--model', model, '--context', '2048', '--gpu', 'off', '--kv-type', kvType];
  const engine = await EngineProcess.start(folder, ...flags);
  try {
    const request = { prompt: text, max_tokens: 1, temperature: 0 };
    const response = await engine.post('/v1/completions', request, { signal });
    mustHold(response.ok, `the engine answered ${response.status}`);
    await response.arrayBuffer();
  } finally {
    await engine.kill();
  }
}

/** Each file by itself, as it would be stored. */
function packed(what: string, bodies: readonly Buffer[]): Figure {
  const level = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
  const plain = sizeOf(bodies);
  const startedMs = performance.now();
  const small = bodies.map((body) => zstdCompressSync(body, level));
  const packedMs = performance.now();
  const again = small.map((body) => zstdDecompressSync(body));
  const readMs = performance.now() - packedMs;
  mustHold(
    again.every((body, at) => bodies[at]?.equals(body)),
    'zstd gives back what it got',
  );
  const rate = (ms: number): string => `${(plain / 1000 / ms).toFixed(0)} MB/s`;
  return {
    id: 'S0-51',
    what: `${what}, ${rate(packedMs - startedMs)} to compress and ${rate(readMs)} to read`,
    unit: 'bytes',
    value: sizeOf(small),
    baseline: { what: 'as stored', value: plain },
    ratio: plain / sizeOf(small),
    wanted: 'nothing: see docs/space.md',
    met: true,
    runs: 1,
  };
}

const sizeOf = (bodies: readonly Buffer[]): number => bodies.reduce((sum, { length }) => sum + length, 0);

const notInstalled = notMeasured(
  'S0-51',
  'KV of a real model, zstd: not measured, because Gemma is not installed (npm run engines:install gemma)',
  'bytes',
);
