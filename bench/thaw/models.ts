import { readFileSync, writeFileSync } from 'node:fs';
import { defaultNoiseShape, noiseModelPrefix, type NoiseModelShape } from '../../src/embedded/noiseModel/noiseModel.ts';
import {
  kvBytesPerToken as layoutBytes,
  usualBlockTokens,
  type KvLayout,
} from '../../src/embedded/kv/state/kvLayout.ts';
import { writeNoiseModel } from '../../src/embedded/noiseModel/noiseModelFile.ts';

export interface BenchModel {
  readonly name: 'small' | 'big';
  readonly shape: NoiseModelShape;
  /** Tokens of a context; the larger ones are left out of a short run. */
  readonly sizes: readonly number[];
  /** Sizes of a short run. */
  readonly shortSizes: readonly number[];
}

/** The generated model that people try the product with, and one with the KV of a model of 7 or 8 billion parameters: 128 KiB a token. */
export const benchModels: readonly BenchModel[] = [
  {
    name: 'small',
    shape: defaultNoiseShape,
    sizes: [2048, 8192, 32_768],
    shortSizes: [2048, 8192, 32_768],
  },
  {
    name: 'big',
    shape: {
      layers: 32,
      embedding: 256,
      feedForward: 1024,
      heads: 8,
      keyValueHeads: 8,
      headDimension: 128,
      contextTokens: 131_072,
      seed: 3,
    },
    sizes: [1024, 4096, 16_384],
    shortSizes: [1024, 4096],
  },
];

/** Writes the model under a name that the engine does not know as generated: it then computes in batches, as with any model. */
export function writeBenchModel(path: string, { shape }: BenchModel): void {
  writeNoiseModel(path, shape);
  const bytes = readFileSync(path);
  bytes.write('bench', bytes.indexOf(noiseModelPrefix));
  writeFileSync(path, bytes);
}

export const kvBytesPerToken = ({ shape }: BenchModel): number => layoutBytes(layoutOf(shape));

/** Tokens of a block, as the engine chooses them. */
export const blockTokensOf = ({ shape }: BenchModel): number => usualBlockTokens(layoutOf(shape));

/** In f16. */
function layoutOf({ layers, keyValueHeads, headDimension }: NoiseModelShape): KvLayout {
  const rows = Array.from({ length: layers }, () => ({ type: 1, rowBytes: keyValueHeads * headDimension * 2 }));
  return { keys: rows, values: rows };
}

/** `small=2048,8192;big=4096`; a model that is not named is left out. @throws Error when it reads otherwise. */
export function parseSizes(text: string): ReadonlyMap<string, readonly number[]> {
  return new Map(
    text.split(';').map((part): [string, number[]] => {
      const [name = '', list = ''] = part.split('=');
      const sizes = list.split(',').map(Number);
      if (!benchModels.some((model) => model.name === name) || !sizes.every((size) => size >= 64 && size <= 65_536)) {
        throw new Error(`--sizes takes "small=2048,8192;big=1024,4096", from 64 to 65536 tokens, not "${text}".`);
      }
      return [name, sizes.toSorted((a, b) => a - b)];
    }),
  );
}
