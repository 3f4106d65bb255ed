import * as z from 'zod/mini';
import { lineageIdSchema } from '../../protocol/schemas/ids.ts';
import { KeyedQueue } from '../../base/serialQueue.ts';
import type { Lineage, LineageStore } from '../../core/ports/lineages.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { LineageId } from '../../protocol/ids.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';

const lineageSchema = z.object({
  id: lineageIdSchema,
  salt: z.string(),
  generation: z.number(),
  importedInto: z.optional(z.number()),
});

/** Lineages, one small record each. */
export class LineageFiles implements LineageStore {
  readonly #parts: StoreDisk;
  readonly #queue = new KeyedQueue<LineageId>();

  constructor(parts: StoreDisk) {
    this.#parts = parts;
  }

  create(lineage: Lineage): Promise<void> {
    const path = this.#parts.layout.lineage(lineage.id);
    return this.#queue.run(lineage.id, async () => {
      if ((await this.#parts.files.stat(path)) !== null) {
        throw new CwmError('Internal', `A lineage with the id "${lineage.id}" exists already.`);
      }
      await this.#parts.records.write(path, lineage);
    });
  }

  /** Replaces a lost lineage: another salt, under which no engine has KV yet. A damaged record is set aside. */
  replaceLost(id: LineageId, salt: string): Promise<void> {
    const { files, quarantine, records, layout } = this.#parts;
    const path = layout.lineage(id);
    return this.#queue.run(id, async () => {
      if ((await files.stat(path)) !== null) await quarantine.setAside(path, `It is not the lineage "${id}".`);
      await records.write(path, { id, salt, generation: 0 });
    });
  }

  async get(id: LineageId): Promise<Lineage> {
    const { records, layout } = this.#parts;
    const path = layout.lineage(id);
    const lineage = (await records.kept(path, lineageSchema)) ?? (await records.read(path, lineageSchema, true));
    if (lineage === null) throw new CwmError('Corrupted', `The lineage "${id}" is missing.`);
    if (lineage.id !== id) throw new CwmError('Corrupted', `The lineage "${id}" is that of "${lineage.id}".`);
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

  markImported(id: LineageId): Promise<Lineage> {
    return this.#queue.run(id, async () => {
      const lineage = await this.get(id);
      const marked = { ...lineage, importedInto: lineage.generation };
      await this.#parts.records.write(this.#parts.layout.lineage(id), marked);
      return marked;
    });
  }
}
