import { join } from 'node:path';
import { engineRecipes } from '../../test/engines/live/engineRecipe.ts';
import type { ModelServer } from '../../test/engines/live/guardedServer.ts';
import { installedPython } from '../../test/engines/live/installEngine.ts';
import { startLlamaServer } from '../../test/engines/live/llamaServer.ts';
import { timed } from '../benchmark.ts';
import { writeSlotFile } from './slotFile.ts';

const given = 'given-slot.state';

/** llama-server, which restores slots of the same rows and saves them. */
export class Slots {
  readonly #server: ModelServer;
  readonly #slotDir: string;
  readonly #signal: AbortSignal;

  /** Null where it is not installed. */
  static async start(
    modelPath: string,
    contextTokens: number,
    slotDir: string,
    signal: AbortSignal,
  ): Promise<Slots | null> {
    if (!installedPython(engineRecipes['llama-server'])) return null;
    return new Slots(await startLlamaServer({ modelPath, slotDir, contextTokens, slots: 1 }, signal), slotDir, signal);
  }

  private constructor(server: ModelServer, slotDir: string, signal: AbortSignal) {
    this.#server = server;
    this.#slotDir = slotDir;
    this.#signal = signal;
  }

  /** Makes its slot file of a state file. False when this server does not take it, since its llama.cpp writes another form. */
  async prepare(statePath: string): Promise<boolean> {
    await writeSlotFile(statePath, join(this.#slotDir, given));
    return (await this.#act('restore', given)) !== null;
  }

  /** Milliseconds to restore what was prepared last. */
  restore(): Promise<number | null> {
    return this.#act('restore', given);
  }

  /** Milliseconds to save what was restored. */
  save(): Promise<number | null> {
    return this.#act('save', 'saved-slot.state');
  }

  stop(): Promise<void> {
    return this.#server.stop();
  }

  async #act(action: 'restore' | 'save', filename: string): Promise<number | null> {
    const headers = { 'content-type': 'application/json' };
    const request = { method: 'POST', headers, body: JSON.stringify({ filename }), signal: this.#signal };
    const { ms, result } = await timed(() => fetch(`${this.#server.url}/slots/0?action=${action}`, request));
    await result.text();
    return result.ok ? ms : null;
  }
}
