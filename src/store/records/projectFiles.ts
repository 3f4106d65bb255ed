import * as z from 'zod/mini';
import { projectBaseSchema, type ProjectBase } from '../../protocol/schemas/projectConfig.ts';
import { projectUriSchema, sessionIdSchema } from '../../protocol/schemas/ids.ts';
import { KeyedQueue } from '../../base/serialQueue.ts';
import type { ProjectStore } from '../../core/ports/projects.ts';
import { nullOn } from '../../protocol/errors.ts';
import { parseSessionId, type ProjectUri, type SessionId } from '../../protocol/ids.ts';
import { hasDirectory, type StoreDisk } from '../disk/storeDisk.ts';

const projectSchema = z.object({
  project: projectUriSchema,
  activeSession: z.nullable(sessionIdSchema),
  trusted: z.optional(z.boolean()),
  base: z.optional(z.nullable(projectBaseSchema)),
});
type ProjectRecord = z.infer<typeof projectSchema>;

/** The record of a project: `projects/<SHA-256 of its URI>.json`. */
export class ProjectFiles implements ProjectStore {
  readonly #parts: StoreDisk;
  readonly #queue = new KeyedQueue<ProjectUri>();

  constructor(parts: StoreDisk) {
    this.#parts = parts;
  }

  /** Null also when the session has been deleted since, or the record was damaged: it is only a convenience. */
  async currentSession(project: ProjectUri): Promise<SessionId | null> {
    const { layout, files } = this.#parts;
    const record = await this.#record(project);
    if (!record || record.activeSession === null) return null;
    const id = parseSessionId(record.activeSession);
    return (await hasDirectory(files, layout.session(id).directory)) ? id : null;
  }

  async isKnown(project: ProjectUri): Promise<boolean> {
    return (await this.#record(project)) !== null;
  }

  setCurrentSession(project: ProjectUri, id: SessionId | null): Promise<void> {
    return this.#change(project, { activeSession: id === null ? null : parseSessionId(id) });
  }

  async isTrusted(project: ProjectUri): Promise<boolean> {
    return (await this.#record(project))?.trusted === true;
  }

  setTrusted(project: ProjectUri, trusted: boolean): Promise<void> {
    return this.#change(project, { trusted });
  }

  /** Null also when its record was damaged: it can be made again. */
  async base(project: ProjectUri): Promise<ProjectBase | null> {
    return (await this.#record(project))?.base ?? null;
  }

  setBase(project: ProjectUri, base: ProjectBase | null): Promise<void> {
    return this.#change(project, { base });
  }

  #change(project: ProjectUri, change: Partial<ProjectRecord>): Promise<void> {
    const { records, layout } = this.#parts;
    return this.#queue.run(project, async () => {
      const before = (await this.#record(project)) ?? { project, activeSession: null };
      await records.write(layout.project(project), { ...before, ...change });
    });
  }

  async #record(project: ProjectUri): Promise<ProjectRecord | null> {
    const { records, layout } = this.#parts;
    const record = await nullOn(records.read(layout.project(project), projectSchema), 'Corrupted');
    return record?.project === project ? record : null;
  }
}
