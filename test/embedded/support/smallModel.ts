import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NoiseModelShape } from '../../../src/embedded/noiseModel/noiseModel.ts';
import { writeNoiseModel } from '../../../src/embedded/noiseModel/noiseModelFile.ts';

/** A generated model that computes a thousand tokens in a blink. */
export const smallShape: NoiseModelShape = {
  layers: 2,
  embedding: 128,
  feedForward: 256,
  heads: 2,
  keyValueHeads: 1,
  headDimension: 64,
  contextTokens: 8192,
  seed: 7,
};

export interface Scratch {
  readonly path: string;
  [Symbol.dispose](): void;
}

/** A new temporary folder. */
export function scratch(): Scratch {
  const path = mkdtempSync(join(tmpdir(), 'cwm-embedded-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Writes the small model and gives its path. */
export function smallModel(folder: string, seed = smallShape.seed, name = 'small.gguf'): string {
  const path = join(folder, name);
  writeNoiseModel(path, { ...smallShape, seed });
  return path;
}
