import { KeyedQueue } from '../../base/serialQueue.ts';
import type { PromptStore } from '../../core/ports/prompts.ts';
import { nullOn } from '../../protocol/errors.ts';
import { parsePromptId, type PromptId } from '../../protocol/ids.ts';
import { namedPromptSchema, type NamedPrompt } from '../../protocol/schemas/sessionSettings.ts';
import { idOfFileName } from '../disk/layout.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';
import type { Trash } from './trash.ts';

/** Named system prompts: `prompts/<id>.json`, one small record each. */
export class PromptFiles implements PromptStore {
  readonly #parts: StoreDisk;
  readonly #trash: Trash;
  readonly #queue = new KeyedQueue<PromptId>();

  constructor(parts: StoreDisk, trash: Trash) {
    this.#parts = parts;
    this.#trash = trash;
  }

  async list(): Promise<readonly NamedPrompt[]> {
    const { files, layout } = this.#parts;
    const prompts: NamedPrompt[] = [];
    // A read-only store of a version without prompts has no such directory.
    if ((await files.stat(layout.prompts)) === null) return prompts;
    for (const name of (await files.list(layout.prompts)).sort()) {
      const id = name.endsWith('.json') ? idOfFileName(name.slice(0, -'.json'.length), parsePromptId) : null;
      const prompt = id === null ? null : await nullOn(this.get(id), 'Corrupted');
      if (prompt) prompts.push(prompt);
    }
    return prompts;
  }

  get(id: PromptId): Promise<NamedPrompt | null> {
    return this.#parts.records.read(this.#parts.layout.prompt(id), namedPromptSchema);
  }

  put(prompt: NamedPrompt): Promise<void> {
    const path = this.#parts.layout.prompt(prompt.id);
    return this.#queue.run(prompt.id, () => this.#parts.records.write(path, prompt));
  }

  delete(id: PromptId): Promise<void> {
    const path = this.#parts.layout.prompt(id);
    return this.#queue.run(id, async () => {
      if ((await this.#parts.files.stat(path)) !== null) await this.#trash.discard(path, `prompt-${id}`);
    });
  }
}
