import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { sha256Hex } from '../../../src/base/hash.ts';
import {
  defaultNoiseShape,
  noiseModelBytes,
  noiseModelVersion,
  type NoiseModelShape,
} from '../../../src/embedded/noiseModel/noiseModel.ts';
import { buildOnce } from './buildOnce.ts';
import { enginesFolder } from './cacheFolder.ts';

/** Small enough that a test's prefill takes a moment. */
const testShape: NoiseModelShape = { ...defaultNoiseShape, embedding: 256, feedForward: 512 };

export interface LlamaModelOptions {
  /** Another seed gives other weights of the same shape. */
  readonly seed?: number;
  readonly signal: AbortSignal;
}

/**
 * A GGUF file for llama-server: the one that `CWM_LLAMA_GGUF` names, or the small random-weight model that the embedded engine
 * makes, kept in the user's cache folder.
 */
export async function llamaModel({ seed = testShape.seed, signal }: LlamaModelOptions): Promise<string> {
  const named = process.env['CWM_LLAMA_GGUF'];
  if (named) return named;
  const shape = { ...testShape, seed };
  const folder = join(enginesFolder(), `gguf-${sha256Hex(JSON.stringify([noiseModelVersion, shape])).slice(0, 8)}`);
  const path = join(folder, 'noise.gguf');
  const build = async (): Promise<Record<string, unknown>> => {
    await pipeline(Readable.from(noiseModelBytes(shape)), createWriteStream(path), { signal });
    return { noiseModelVersion, shape };
  };
  await buildOnce(folder, build, { signal, log: () => {} });
  return path;
}
