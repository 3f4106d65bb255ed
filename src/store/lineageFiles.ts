import * as z from 'zod/mini';
import { KeyedQueue } from '../base/serialQueue.ts';
import type { Lineage } from '../core/ports/store.ts';
import { CwmError } from '../protocol/errors.ts';
import type { LineageId } from '../protocol/ids.ts';
import type { StoreParts } from './storeParts.ts';

export const lineageSchema = z.object({ id: z.string(), salt: z.string(), generation: z.number() });

/** Lineages, one small record each. */
export class LineageFiles {
  readonly #parts: StoreParts;
  readonly #queue = new KeyedQueue<LineageId>();

  constructor(parts: StoreParts) {
    this.#parts = parts;
  }

  create(lineage: Lineage): Promise<void> {
    const path = this.#parts.layout.lineage(lineage.id);
    return this.#queue.run(lineage.id, async () => {
      if ((await this.#parts.files.stat(path)) !== null) {
        throw new CwmError('CWM-9001', `A lineage with the id "${lineage.id}" exists already.`);
      }
      await this.#parts.records.write(path, lineage);
    });
  }

  async get(id: LineageId): Promise<Lineage> {
    const lineage = await this.#parts.records.read(this.#parts.layout.lineage(id), lineageSchema);
    if (lineage === null) throw new CwmError('CWM-4004', `The lineage "${id}" is missing.`);
    if (lineage.id !== id) throw new CwmError('CWM-4004', `The lineage "${id}" is that of "${lineage.id}".`);
    return { ...lineage, id };
  }

  advance(id: LineageId, fromGeneration: number): Promise<Lineage> {
    return this.#queue.run(id, async () => {
      const lineage = await this.get(id);
      if (lineage.generation !== fromGeneration) return lineage;
      const next = { ...lineage, generation: fromGeneration + 1 };
      await this.#parts.records.write(this.#parts.layout.lineage(id), next);
      return next;
    });
  }
}
