import path from 'node:path';
import { gemmaModel } from '../engines/live/gemmaModel.ts';
import type { ModelServer } from '../engines/live/guardedServer.ts';
import { startLlamaServer } from '../engines/live/llamaServer.ts';

/**
 * Gemma 3 270M in llama.cpp's own server, with one slot and a template that puts a client's tools into the prompt.
 *
 * @param port default: a free one. @param threads beside a client that needs a core itself, one is faster than two.
 */
export function startGemma(slotDir: string, port?: number, threads = 2): Promise<ModelServer> {
  const start = {
    modelPath: gemmaModel(),
    slotDir,
    servedName: 'gemma',
    contextTokens: 32_768,
    slots: 1,
    threads,
    chatTemplate: path.join(import.meta.dirname, 'programs', 'tools.jinja'),
    ...(port !== undefined && { port }),
  };
  return startLlamaServer(start, new AbortController().signal);
}
