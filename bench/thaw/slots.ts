import { engineRecipes } from '../../test/engines/live/engineRecipe.ts';
import type { ModelServer } from '../../test/engines/live/guardedServer.ts';
import { installedPython } from '../../test/engines/live/installEngine.ts';
import { startLlamaServer } from '../../test/engines/live/llamaServer.ts';
import { mustHold, timed } from '../benchmark.ts';

const filename = 'slot.state';

/** llama-server, which saves slots and restores them. Its state files are not ours, so it computes the prompts itself. */
export class Slots {
  readonly #server: ModelServer;
  readonly #signal: AbortSignal;
  #savedTokens = 0;

  /** Null where it is not installed. */
  static async start(
    modelPath: string,
    contextTokens: number,
    slotDir: string,
    signal: AbortSignal,
  ): Promise<Slots | null> {
    if (!installedPython(engineRecipes['llama-server'])) return null;
    return new Slots(await startLlamaServer({ modelPath, slotDir, contextTokens, slots: 1 }, signal), signal);
  }

  private constructor(server: ModelServer, signal: AbortSignal) {
    this.#server = server;
    this.#signal = signal;
  }

  /** Computes a prompt, or what a shorter one left of it. */
  async prefill(prompt: readonly number[]): Promise<void> {
    await this.#post('/completion', { prompt, n_predict: 1, cache_prompt: true, id_slot: 0 });
    await this.save();
  }

  /** Milliseconds to save the slot. */
  async save(): Promise<number> {
    const { ms, answer } = await this.#post('/slots/0?action=save', { filename });
    this.#savedTokens = answer.n_saved ?? 0;
    return ms;
  }

  /** Milliseconds to restore what was saved last. */
  async restore(): Promise<number> {
    const { ms, answer } = await this.#post('/slots/0?action=restore', { filename });
    mustHold(answer.n_restored === this.#savedTokens, `llama-server restored ${answer.n_restored} tokens`);
    return ms;
  }

  stop(): Promise<void> {
    return this.#server.stop();
  }

  async #post(path: string, body: object) {
    const headers = { 'content-type': 'application/json' };
    const request = { method: 'POST', headers, body: JSON.stringify(body), signal: this.#signal };
    const { ms, result } = await timed(() => fetch(`${this.#server.url}${path}`, request));
    const answer = await result.text();
    mustHold(result.ok, `llama-server answered ${path} with ${answer}`);
    return { ms, answer: JSON.parse(answer) as { readonly n_restored?: number; readonly n_saved?: number } };
  }
}
