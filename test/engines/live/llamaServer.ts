import { join } from 'node:path';

import { engineRecipes } from './engineRecipe.ts';
import { freePort, startGuarded, type ModelServer } from './guardedServer.ts';
import { installedPython } from './installEngine.ts';

export interface LlamaServerStart {
  /** The GGUF file to serve. */
  readonly modelPath: string;
  /** Where saved slots go: an existing folder. Without it the server refuses to save. */
  readonly slotDir?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** Tokens over all slots together. Default 16,384. */
  readonly contextTokens?: number;
  /** How many conversations it holds at once. Default 2. */
  readonly slots?: number;
  /** Default 1: more threads than idle cores make llama.cpp many times slower. */
  readonly threads?: number;
  /** The model id that `/v1/models` tells. Default: the file's name. */
  readonly servedName?: string;
  /** File with a Jinja template. Default: the model's own, or ChatML. */
  readonly chatTemplate?: string;
  readonly apiKey?: string;
  /** The type of its KV. Default: f16. */
  readonly cacheType?: 'f16' | 'q8_0';
  /** Of its cache of prompts in memory, in MiB; 0 is none. Default: the server's own. */
  readonly cacheRamMib?: number;
  /** Whether all slots share one cache, which each request empties of what rests. Default: no. */
  readonly sharesCache?: boolean;
  /** Positions are divided by this. Default: as the model says. */
  readonly ropeScale?: number;
  /** Whether it embeds texts instead of answering. Default: no. */
  readonly embeds?: boolean;
}

const readyWithinMs = 300_000;

/**
 * Starts llama.cpp's own HTTP server on the loopback address, with slots, metrics and props switched on.
 *
 * @throws an Error that says what to do when it is not installed, or that ends with the server's log when it does not start.
 */
export async function startLlamaServer(start: LlamaServerStart, signal: AbortSignal): Promise<ModelServer> {
  const python = installedPython(engineRecipes['llama-server']);
  if (!python) throw new Error('llama-server is not installed. Run: npm run engines:install llama-server');
  const { port = await freePort(), contextTokens = 16_384, slots = 2, threads = 1 } = start;
  return startGuarded({
    name: 'llama-server',
    url: `http://127.0.0.1:${port}`,
    command: python,
    args: [
      join(import.meta.dirname, 'python', 'serve_llama.py'),
      JSON.stringify({ ...start, port, contextTokens, slots, threads }),
      // The wheel has llama.cpp's server without its program, so its options stand here for whoever reads the command line.
      ...(start.slotDir === undefined ? [] : ['--slot-save-path', start.slotDir]),
      ...(start.cacheType === undefined ? [] : ['--cache-type-k', start.cacheType, '-ctv', start.cacheType]),
      ...(start.ropeScale === undefined ? [] : ['--rope-scale', String(start.ropeScale)]),
    ],
    cwd: import.meta.dirname,
    env: process.env,
    leftovers: [],
    readyWithinMs,
    signal,
  });
}
