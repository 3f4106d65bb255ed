import * as z from 'zod/mini';
import { projectUriSchema, sessionIdSchema } from '../../protocol/schemas/ids.ts';
import { KeyedQueue } from '../../base/serialQueue.ts';
import type { ProjectStore } from '../../core/ports/projects.ts';
import { nullOn } from '../../protocol/errors.ts';
import { parseSessionId, type ProjectUri, type SessionId } from '../../protocol/ids.ts';
import { hasDirectory, type StoreDisk } from '../disk/storeDisk.ts';

const projectSchema = z.object({ project: projectUriSchema, activeSession: z.nullable(sessionIdSchema) });

/** The record of a project: `projects/<SHA-256 of its URI>.json`. */
export class ProjectFiles implements ProjectStore {
  readonly #parts: StoreDisk;
  readonly #queue = new KeyedQueue<ProjectUri>();

  constructor(parts: StoreDisk) {
    this.#parts = parts;
  }

  /** Null also when the session has been deleted since, or the record was damaged: it is only a convenience. */
  async currentSession(project: ProjectUri): Promise<SessionId | null> {
    const { records, layout, files } = this.#parts;
    const record = await nullOn(records.read(layout.project(project), projectSchema), 'Corrupted');
    if (!record || record.project !== project || record.activeSession === null) return null;
    const id = parseSessionId(record.activeSession);
    return (await hasDirectory(files, layout.session(id).directory)) ? id : null;
  }

  setCurrentSession(project: ProjectUri, id: SessionId | null): Promise<void> {
    const { records, layout } = this.#parts;
    return this.#queue.run(project, () =>
      records.write(layout.project(project), { project, activeSession: id === null ? null : parseSessionId(id) }),
    );
  }
}
