import { KeyedQueue } from '../../base/serialQueue.ts';
import type { MemoryStore } from '../../core/ports/messages.ts';
import { memoryRecordSchema, noteSchema, type MemoryRecord, type Note } from '../../protocol/memory/records.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { ProjectUri, SessionId } from '../../protocol/ids.ts';
import { hasDirectory, type StoreDisk } from '../disk/storeDisk.ts';
import type { SessionFiles } from './sessionFiles.ts';

/** {@link MemoryStore} as append-only files of checksummed lines: one beside each session's messages, one of each project, one of the user. */
export class MemoryFiles implements MemoryStore {
  readonly #parts: StoreDisk;
  readonly #sessions: SessionFiles;
  readonly #queue = new KeyedQueue<string>();

  constructor(parts: StoreDisk, sessions: SessionFiles) {
    this.#parts = parts;
    this.#sessions = sessions;
  }

  load(session: SessionId): Promise<readonly MemoryRecord[]> {
    return this.#sessions.exclusively(session, async () => {
      const { values } = await this.#parts.lines.load(await this.#pathOf(session), memoryRecordSchema);
      return values;
    });
  }

  append(session: SessionId, records: readonly MemoryRecord[]): Promise<void> {
    return this.#sessions.exclusively(session, async () => {
      await this.#parts.lines.append(await this.#pathOf(session), records);
    });
  }

  async notes(project: ProjectUri | null): Promise<readonly Note[]> {
    const path = this.#notesOf(project);
    return this.#queue.run(path, async () => (await this.#parts.lines.load(path, noteSchema)).values);
  }

  changeNotes(project: ProjectUri | null, change: (notes: readonly Note[]) => Note): Promise<void> {
    const path = this.#notesOf(project);
    return this.#queue.run(path, async () => {
      const { values } = await this.#parts.lines.load(path, noteSchema);
      await this.#parts.lines.append(path, [change(values)]);
    });
  }

  #notesOf(project: ProjectUri | null): string {
    const { layout } = this.#parts;
    return project === null ? layout.userMemories : layout.projectMemories(project);
  }

  async #pathOf(session: SessionId): Promise<string> {
    const { directory, memory } = this.#parts.layout.session(session);
    if (await hasDirectory(this.#parts.files, directory)) return memory;
    throw new CwmError('SessionNotFound', `There is no session "${session}".`);
  }
}
