import { join } from 'node:path';
import * as z from 'zod/mini';
import { projectUriSchema, sessionIdSchema } from '../../protocol/schemas/ids.ts';
import { filesAtOnce, mapBounded } from '../../base/mapBounded.ts';
import { KeyedQueue } from '../../base/serialQueue.ts';
import type { BranchSwitch, ListedProject, ProjectStore } from '../../core/ports/projects.ts';
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
  /** The git branch that the folder was on last, and the session that was current on each other one. */
  gitBranches: z.optional(
    z.object({ current: z.string(), others: z.array(z.object({ branch: z.string(), session: sessionIdSchema })) }),
  ),
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

/** Of a project: those that were left longest ago are forgotten. */
const mostBranches = 200;

/** The record of a project: `projects/<SHA-256 of its URI>.json`. */
export class ProjectFiles implements ProjectStore {
  readonly #parts: StoreDisk;
  readonly #queue = new KeyedQueue<ProjectUri>();

  constructor(parts: StoreDisk) {
    this.#parts = parts;
  }

  /** Null also when the session has been deleted since, or the record was damaged: it is only a convenience. */
  async currentSession(project: ProjectUri): Promise<SessionId | null> {
    const record = await this.#record(project);
    return record && this.#currentIn(record);
  }

  async known(project: ProjectUri): Promise<KnownProject | null> {
    const record = await this.#record(project);
    return record && knownOf(project, record);
  }

  setCurrentSession(project: ProjectUri, id: SessionId | null): Promise<void> {
    return this.#change(project, { activeSession: id === null ? null : parseSessionId(id) });
  }

  switchBranch(project: ProjectUri, branch: string): Promise<BranchSwitch | null> {
    const { records, layout } = this.#parts;
    return this.#queue.run(project, async () => {
      const record = (await this.#record(project)) ?? { project, activeSession: null };
      const { gitBranches: before } = record;
      if (before?.current === branch) return null;
      const left = await this.#currentIn(record);
      const remembered = before?.others.find((other) => other.branch === branch)?.session ?? null;
      const there = remembered && (await this.#currentIn({ ...record, activeSession: remembered }));
      const current = there ?? left;
      const kept = (before?.others ?? []).filter(
        (other) => other.branch !== branch && other.branch !== before?.current,
      );
      const others = before && left ? [{ branch: before.current, session: left }, ...kept] : kept;
      const gitBranches = { current: branch, others: others.slice(0, mostBranches) };
      await records.write(layout.project(project), { ...record, activeSession: current, gitBranches });
      return before ? { left, current } : null;
    });
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

  async list(): Promise<readonly ListedProject[]> {
    const { files, layout, records } = this.#parts;
    if ((await files.stat(layout.projects)) === null) return [];
    const names = (await files.list(layout.projects)).filter((name) => /^[0-9a-f]{64}\.json$/.test(name));
    const found = await mapBounded(names, filesAtOnce, async (name) => {
      const path = join(layout.projects, name);
      const record = await nullOn(records.read(path, projectSchema), 'Corrupted');
      if (!record) return null;
      const project = parseProjectUri(record.project);
      if (layout.project(project) !== path) return null;
      const currentSession = await this.#currentIn(record);
      return { ...knownOf(project, record), currentSession, isRecorded: record.recorded !== false };
    });
    return found.filter((each) => each !== null);
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

  async #currentIn({ activeSession }: ProjectRecord): Promise<SessionId | null> {
    if (activeSession === null) return null;
    const { layout, files } = this.#parts;
    const id = parseSessionId(activeSession);
    return (await hasDirectory(files, layout.session(id).directory)) ? id : null;
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
