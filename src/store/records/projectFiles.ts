import { join } from 'node:path';
import * as z from 'zod/mini';
import { projectUriSchema, sessionIdSchema } from '../../protocol/schemas/ids.ts';
import { KeyedQueue } from '../../base/serialQueue.ts';
import type { ProjectStore } from '../../core/ports/projects.ts';
import { nullOn } from '../../protocol/errors.ts';
import { parseProjectUri, parseSessionId, type ProjectUri, type SessionId } from '../../protocol/ids.ts';
import { projectBaseSchema, type KnownProject, type ProjectBase } from '../../protocol/schemas/projectConfig.ts';
import { hasDirectory, type StoreDisk } from '../disk/storeDisk.ts';

const projectSchema = z.object({
  project: projectUriSchema,
  activeSession: z.nullable(sessionIdSchema),
  recorded: z.optional(z.boolean()),
  trusted: z.optional(z.boolean()),
  base: z.optional(z.nullable(projectBaseSchema)),
  known: z.optional(
    z.object({
      name: z.nullable(z.string()),
      id: z.nullable(z.string()),
      remote: z.nullable(z.string()),
      firstCommit: z.nullable(z.string()),
    }),
  ),
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

  async known(project: ProjectUri): Promise<KnownProject | null> {
    const record = await this.#record(project);
    return record && knownOf(project, record);
  }

  setCurrentSession(project: ProjectUri, id: SessionId | null): Promise<void> {
    return this.#change(project, { activeSession: id === null ? null : parseSessionId(id) });
  }

  async isTrusted(project: ProjectUri): Promise<boolean> {
    return (await this.#record(project))?.trusted === true;
  }

  async isRecorded(project: ProjectUri): Promise<boolean> {
    return (await this.#record(project))?.recorded !== false;
  }

  setRecorded(project: ProjectUri, recorded: boolean): Promise<void> {
    return this.#change(project, { recorded });
  }

  setTrusted(project: ProjectUri, trusted: boolean): Promise<void> {
    return this.#change(project, { trusted });
  }

  async list(): Promise<readonly KnownProject[]> {
    const { files, layout, records } = this.#parts;
    const found: KnownProject[] = [];
    if ((await files.stat(layout.projects)) === null) return found;
    for (const name of await files.list(layout.projects)) {
      if (!/^[0-9a-f]{64}\.json$/.test(name)) continue;
      const record = await nullOn(records.read(join(layout.projects, name), projectSchema), 'Corrupted');
      if (!record) continue;
      const project = parseProjectUri(record.project);
      if (layout.project(project) !== join(layout.projects, name)) continue;
      found.push(knownOf(project, record));
    }
    return found;
  }

  note({ project, name, id, hints }: KnownProject): Promise<void> {
    return this.#change(project, { known: { name, id, ...hints } });
  }

  forget(project: ProjectUri): Promise<void> {
    const path = this.#parts.layout.project(project);
    return this.#queue.run(project, async () => {
      if ((await this.#parts.files.stat(path)) !== null) await this.#parts.files.remove(path);
    });
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

function knownOf(project: ProjectUri, { known }: ProjectRecord): KnownProject {
  const { name = null, id = null, remote = null, firstCommit = null } = known ?? {};
  return { project, name, id, hints: { remote, firstCommit } };
}
