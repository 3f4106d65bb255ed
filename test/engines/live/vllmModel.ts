import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { sha256Hex } from '../../../src/base/hash.ts';
import { buildOnce } from './buildOnce.ts';
import { enginesFolder } from './cacheFolder.ts';
import { engineFolder, engineRecipes } from './engineRecipe.ts';
import { installedPython } from './installEngine.ts';
import { runLogged } from './loggedCommand.ts';

/** 4 layers and 9 MB: fast enough for every test. 12 layers and 383 MB: slow enough that a speed-up can be measured. */
export type VllmModelSize = 'tiny' | 'mid';

/** A model as a server is started with it: `name` below `parentFolder`, so that other weights can have the same name. */
export interface VllmModel {
  readonly parentFolder: string;
  readonly name: VllmModelSize;
}

export interface VllmModelOptions {
  /** Another seed gives other weights under the same name, with the same tokenizer. */
  readonly seed?: number;
  readonly signal: AbortSignal;
  readonly log?: (line: string) => void;
}

const pythonFolder = join(import.meta.dirname, 'python');
const makeTokenizer = join(pythonFolder, 'make_tokenizer.py');
const makeWeights = join(pythonFolder, 'make_weights.py');

/**
 * Makes a random-weight model that vLLM serves, once, in the user's cache folder.
 *
 * The same version of vLLM gives the same tokenizer and the same weights everywhere. A change to how models are made gives new ones, so no
 * test may count on particular token ids.
 *
 * @throws an Error when vLLM is not installed: the model is made with its libraries.
 */
export async function vllmModel(
  name: VllmModelSize,
  { seed = 0, signal, log = () => {} }: VllmModelOptions,
): Promise<VllmModel> {
  const python = installedPython(engineRecipes.vllm);
  if (!python) throw new Error('vLLM is not installed. Run: npm run engines:install vllm');
  const engine = basename(engineFolder(engineRecipes.vllm));
  const recipe = sha256Hex(engine, await readFile(makeTokenizer), await readFile(makeWeights)).slice(0, 8);
  const modelsFolder = join(enginesFolder(), `vllm-models-${recipe}`);
  const tokenizerFolder = join(modelsFolder, 'tokenizer');
  const env = { ...process.env, HF_HUB_OFFLINE: '1' };
  const options = { signal, log };

  await buildOnce(
    tokenizerFolder,
    async (folder) => {
      const logFile = join(folder, 'make.log');
      await runLogged([python, makeTokenizer, folder], { logFile, signal, env });
      return { engine };
    },
    options,
  );
  const parentFolder = join(modelsFolder, `seed-${seed}`);
  await buildOnce(
    join(parentFolder, name),
    async (folder) => {
      log(`Making the ${name} model with random weights (seed ${seed}); this takes some seconds.`);
      const logFile = join(folder, 'make.log');
      await runLogged([python, makeWeights, folder, tokenizerFolder, name, String(seed)], { logFile, signal, env });
      return { engine, seed };
    },
    options,
  );
  return { parentFolder, name };
}
