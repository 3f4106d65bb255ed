import type { ProjectUri } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';

/** Of which projects and sessions something is saved without being asked for. */
export class Recording {
  readonly #asStored: (project: ProjectUri) => Promise<boolean>;
  /** Projects of which nothing is kept. */
  readonly #unrecorded = new Set<ProjectUri>();

  /** @param asStored what the user said of a project for good. */
  constructor(asStored: (project: ProjectUri) => Promise<boolean>) {
    this.#asStored = asStored;
  }

  /** Whether sessions of this project are saved, until this is called again or the backend ends. Default: they are. */
  record(project: ProjectUri, isRecorded: boolean): void {
    if (isRecorded) this.#unrecorded.delete(project);
    else this.#unrecorded.add(project);
  }

  /** Nor where the user said so for good. */
  async isRecorded(project: ProjectUri): Promise<boolean> {
    return !this.#unrecorded.has(project) && (await this.#asStored(project));
  }

  /** What the user said of the session, or of its folder, in words; null: it is saved. */
  async whyNot({ project, recorded }: Session): Promise<string | null> {
    if (recorded === false) return 'Nothing of this session is saved without being asked.';
    const isOfRecorded = project === null || (await this.isRecorded(project));
    return isOfRecorded ? null : 'Nothing of its folder is saved without being asked.';
  }
}
