import type { CheckpointStore } from '../../core/ports/windows.ts';
import { CwmError, nullOn } from '../../protocol/errors.ts';
import type { SessionId } from '../../protocol/ids.ts';
import { checkpointSchema, type Checkpoint } from '../../protocol/schemas/checkpoint.ts';
import { hasDirectory, type StoreDisk } from '../disk/storeDisk.ts';
import type { SessionFiles } from './sessionFiles.ts';

/** One record beside each session's own. */
export class CheckpointFiles implements CheckpointStore {
  readonly #parts: StoreDisk;
  readonly #sessions: SessionFiles;

  constructor(parts: StoreDisk, sessions: SessionFiles) {
    this.#parts = parts;
    this.#sessions = sessions;
  }

  async get(session: SessionId): Promise<Checkpoint | null> {
    const { files, layout, records } = this.#parts;
    const paths = layout.session(session);
    if (!(await hasDirectory(files, paths.directory))) return null;
    const checkpoint = await nullOn(records.read(paths.checkpoint, checkpointSchema), 'Corrupted');
    return checkpoint?.manifest.session === session ? checkpoint : null;
  }

  put(checkpoint: Checkpoint): Promise<void> {
    const { session } = checkpoint.manifest;
    const { files, layout, records } = this.#parts;
    const paths = layout.session(session);
    return this.#sessions.exclusively(session, async () => {
      if (!(await hasDirectory(files, paths.directory)))
        throw new CwmError('SessionNotFound', `There is no session "${session}" to make a checkpoint of.`);
      await records.write(paths.checkpoint, checkpoint);
    });
  }

  delete(session: SessionId): Promise<void> {
    const { files, layout, writes } = this.#parts;
    const paths = layout.session(session);
    return this.#sessions.exclusively(session, async () => {
      if (await hasDirectory(files, paths.directory)) await writes.removeFile(paths.checkpoint);
    });
  }
}
