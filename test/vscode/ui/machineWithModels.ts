import { createWriteStream, mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { noiseModelBytes, type NoiseModelShape } from '../../../src/embedded/noiseModel/noiseModel.ts';
import { gemmaModel } from '../../engines/live/gemmaModel.ts';
import { startLlamaServer } from '../../engines/live/llamaServer.ts';

const tiny: NoiseModelShape = {
  layers: 2,
  embedding: 128,
  feedForward: 256,
  heads: 1,
  keyValueHeads: 1,
  headDimension: 64,
  contextTokens: 8192,
  seed: 3,
};

/** Where this file is in the home directory, Gemma 3 270M. */
export const gemmaName = 'gemma-3-270m-Q4_K_M';

/** Where model files are looked for besides the home directory: none of this machine's own may be found. */
export const noOtherPlaces: Readonly<Record<string, undefined>> = Object.fromEntries(
  ['XDG_CACHE_HOME', 'HF_HOME', 'HF_HUB_CACHE', 'LLAMA_CACHE', 'OLLAMA_MODELS', 'OPENAI_BASE_URL'].map((name) => [
    name,
    undefined,
  ]),
);

/**
 * Fills a home directory as LM Studio, a download from the Hugging Face hub and llama.cpp leave it, with one model each: the real Gemma
 * and two generated ones.
 */
export async function writeHome(home: string): Promise<void> {
  const below = (...parts: readonly string[]): string => {
    const file = path.join(home, ...parts);
    mkdirSync(path.dirname(file), { recursive: true });
    return file;
  };
  symlinkSync(gemmaModel(), below('.lmstudio/models/google/gemma-3-270m-GGUF', `${gemmaName}.gguf`));
  const hub = '.cache/huggingface/hub/models--example--random-llama-GGUF';
  await writeModel(below(hub, 'blobs/3f2a'), tiny);
  symlinkSync('../../blobs/3f2a', below(hub, 'snapshots/main/random-llama-Q5_1.gguf'));
  await writeModel(below('.cache/llama.cpp/example_random-llama-wide-Q5_1.gguf'), { ...tiny, feedForward: 4096 });
}

const writeModel = (file: string, shape: NoiseModelShape): Promise<void> =>
  pipeline(Readable.from(noiseModelBytes(shape)), createWriteStream(file));

/**
 * Two real llama-servers, which store KV in files: one with Gemma on its usual port, and one with a generated model on vLLM's usual port, so
 * that a server is told by what it answers, not by its port.
 */
export async function startServers(folder: string, signal: AbortSignal): Promise<AsyncDisposable> {
  await using started = new AsyncDisposableStack();
  const start = async (port: number, modelPath: string, servedName: string): Promise<void> => {
    const slotDir = path.join(folder, `slots-${port}`);
    mkdirSync(slotDir);
    started.use(await startLlamaServer({ modelPath, servedName, slotDir, port }, signal));
  };
  await start(8080, gemmaModel(), 'gemma-3-270m');
  const small = path.join(folder, 'random-llama.gguf');
  await writeModel(small, tiny);
  await start(8000, small, 'random-llama');
  return started.move();
}
