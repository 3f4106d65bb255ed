import type { MemoryStore } from '../../core/ports/messages.ts';
import { memoryRecordSchema, type MemoryRecord } from '../../protocol/memory/records.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { SessionId } from '../../protocol/ids.ts';
import { hasDirectory, type StoreDisk } from '../disk/storeDisk.ts';
import type { SessionFiles } from './sessionFiles.ts';

/** {@link MemoryStore} as an append-only file of checksummed lines beside each session's messages. */
export class MemoryFiles implements MemoryStore {
  readonly #parts: StoreDisk;
  readonly #sessions: SessionFiles;

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

  async #pathOf(session: SessionId): Promise<string> {
    const { directory, memory } = this.#parts.layout.session(session);
    if (await hasDirectory(this.#parts.files, directory)) return memory;
    throw new CwmError('SessionNotFound', `There is no session "${session}".`);
  }
}
