import { engineRecipes } from '../../test/engines/live/engineRecipe.ts';
import { installedPython } from '../../test/engines/live/installEngine.ts';
import { startLlamaServer } from '../../test/engines/live/llamaServer.ts';
import { mustHold, timed } from '../benchmark.ts';

/** llama-server restoring and saving slots of the same prompts; empty where it is not installed. */
export async function slotTimes(
  modelPath: string,
  contextTokens: number,
  slotDir: string,
  prompts: ReadonlyMap<number, readonly number[]>,
  rounds: number,
  signal: AbortSignal,
): Promise<Map<number, { readonly restoreMs: number; readonly saveMs: number }>> {
  const times = new Map<number, { restoreMs: number; saveMs: number }>();
  if (!installedPython(engineRecipes['llama-server'])) return times;
  const server = await startLlamaServer({ modelPath, slotDir, contextTokens, slots: 1 }, signal);
  const post = async (path: string, body: object): Promise<number> => {
    const headers = { 'content-type': 'application/json' };
    const request = { method: 'POST', headers, body: JSON.stringify(body), signal };
    const { ms, result } = await timed(() => fetch(`${server.url}${path}`, request));
    const answer = await result.text();
    mustHold(result.ok, `llama-server answered ${path} with ${answer}`);
    return ms;
  };
  const act = (action: 'save' | 'restore'): Promise<number> =>
    post(`/slots/0?action=${action}`, { filename: 'slot.state' });
  try {
    for (const [size, prompt] of prompts) {
      await post('/completion', { prompt, n_predict: 1, cache_prompt: true, id_slot: 0 });
      await act('save');
      const [restores, saves]: [number[], number[]] = [[], []];
      for (let round = 0; round < rounds; round++) {
        restores.push(await act('restore'));
        saves.push(await act('save'));
      }
      times.set(size, { restoreMs: Math.min(...restores), saveMs: Math.min(...saves) });
    }
  } finally {
    await server.stop();
  }
  return times;
}
