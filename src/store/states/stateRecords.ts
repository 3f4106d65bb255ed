import { join } from 'node:path';
import type { StoredState } from '../../core/ports/states.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { SessionId } from '../../protocol/ids.ts';
import type { DurableWrites } from '../disk/durableWrites.ts';
import { encodeRecord } from '../disk/record.ts';
import { hasDirectory, type StoreDisk } from '../disk/storeDisk.ts';
import { stateRecordSchema } from './stateSchemas.ts';

/**
 * `state/current.json` of a session. The directory appears with the record in it, so a directory without it has lost its record. Calls
 * that change one session's must come one after another.
 */
export class StateRecords {
  readonly #parts: StoreDisk;

  constructor(parts: StoreDisk) {
    this.#parts = parts;
  }

  /** Null when nothing was ever stored. @throws CwmError Corrupted when it is damaged or was set aside. */
  async load(id: SessionId): Promise<StoredState | null> {
    const { records, files, layout } = this.#parts;
    const paths = layout.session(id);
    if (!(await hasDirectory(files, paths.state))) return null;
    const record = await records.read(paths.currentState, stateRecordSchema);
    if (record === null) throw lost(id, 'is missing or was set aside');
    const { session, ...state } = record;
    if (session === id) return state;
    throw lost(id, `is that of session "${session}"`);
  }

  /** Does not check what is there. */
  async put(id: SessionId, state: StoredState): Promise<void> {
    const { writes, records, files, layout } = this.#parts;
    const paths = layout.session(id);
    const record = { session: id, ...state };
    if (await hasDirectory(files, paths.state)) await records.write(paths.currentState, record);
    else {
      await writes.addDirectory(paths.state, (directory) =>
        files.create(join(directory, 'current.json'), encodeRecord(record)),
      );
    }
  }

  /** Remembers what is there; see {@link DurableWrites.hold}. */
  async hold(id: SessionId): ReturnType<DurableWrites['hold']> {
    const { writes, files, layout } = this.#parts;
    const paths = layout.session(id);
    return writes.hold((await hasDirectory(files, paths.state)) ? paths.currentState : paths.state);
  }
}

const lost = (id: SessionId, how: string): CwmError =>
  new CwmError('Corrupted', `The record of the state of session "${id}" ${how}.`, {
    hint: 'Restore a recovery point of the session.',
  });
