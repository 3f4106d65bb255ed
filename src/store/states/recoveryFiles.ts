import { join } from 'node:path';
import { recoveryPointsKept, type RecoveryPoint } from '../../core/ports/states.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { SessionId } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { SessionPaths } from '../disk/layout.ts';
import { encodeRecord } from '../disk/record.ts';
import { hasDirectory, type StoreDisk } from '../disk/storeDisk.ts';
import { recoveryPointSchema } from './stateSchemas.ts';

interface Named {
  readonly sequence: number;
  readonly id: string;
  readonly name: string;
}

/**
 * Recovery points of a session: `recovery/<sequence>-<id>.json`. The messages and token ids that they name are the session's own. Calls that
 * change one session's must come one after another.
 */
export class RecoveryFiles {
  readonly #parts: StoreDisk;
  readonly #hasTokens: (id: SessionId, sha256: string) => Promise<boolean>;

  /** @param hasTokens whether these token ids of the session can be read: those that cannot are left out. */
  constructor(parts: StoreDisk, hasTokens: (id: SessionId, sha256: string) => Promise<boolean>) {
    this.#parts = parts;
    this.#hasTokens = hasTokens;
  }

  /** Latest first. Damaged ones are set aside, and their ids returned. */
  async list(id: SessionId): Promise<{ points: RecoveryPoint[]; damaged: string[] }> {
    const paths = this.#parts.layout.session(id);
    const points: RecoveryPoint[] = [];
    const damaged: string[] = [];
    for (const named of await this.#named(paths)) {
      const point = await this.#read(paths, named, id);
      if (point === 'damaged') damaged.push(named.id);
      else if (point !== null) points.push(point);
    }
    return { points, damaged };
  }

  /**
   * Writes the record, and only then removes recovery points that are too old, except the one
   * with the id `spared`.
   */
  async add(session: Session, point: Omit<RecoveryPoint, 'conversation'>, spared?: string): Promise<RecoveryPoint> {
    const { files, writes, records, layout } = this.#parts;
    const paths = layout.session(session.id);
    const { branches, activeBranch } = session;
    const tokens = session.tokens && (await this.#hasTokens(session.id, session.tokens.sha256)) ? session.tokens : null;
    const added: RecoveryPoint = { ...point, conversation: { branches, activeBranch, tokens } };
    const latest = (await this.#named(paths))[0]?.sequence ?? 0;
    const name = nameOf(latest + 1, point.id);
    if (!(await hasDirectory(files, paths.recovery))) {
      await writes.addDirectory(paths.recovery, (directory) =>
        files.create(join(directory, name), encodeRecord(added)),
      );
      return added;
    }
    await records.write(join(paths.recovery, name), added);
    await this.#removeOld(paths, spared);
    return added;
  }

  /** Removes the spared one as well. Never throws. */
  async removeSpared(id: SessionId): Promise<void> {
    const paths = this.#parts.layout.session(id);
    const kept = await this.#named(paths).catch(() => []);
    if (kept.length > recoveryPointsKept) await this.#removeOld(paths);
  }

  async #removeOld(paths: SessionPaths, spared?: string): Promise<void> {
    const { files, quarantine } = this.#parts;
    try {
      for (const old of (await this.#named(paths)).slice(recoveryPointsKept)) {
        if (old.id !== spared) await files.remove(join(paths.recovery, old.name));
      }
      await files.syncDirectory(paths.recovery);
    } catch {
      // The new one is on the disk: a file that could not be removed costs only space, and the next call removes it.
      quarantine.note(paths.recovery, 'Old recovery points could not be removed.');
    }
  }

  async #named(paths: SessionPaths): Promise<Named[]> {
    const { files } = this.#parts;
    if (!(await hasDirectory(files, paths.recovery))) return [];
    return (await files.list(paths.recovery))
      .map(parseName)
      .filter((named) => named !== null)
      .sort((a, b) => b.sequence - a.sequence);
  }

  async #read(paths: SessionPaths, { name, id }: Named, session: SessionId): Promise<RecoveryPoint | 'damaged' | null> {
    try {
      const point = await this.#parts.records.read(join(paths.recovery, name), recoveryPointSchema);
      if (point === null || (point.id === id && point.session === session)) return point;
      this.#parts.quarantine.note(join(paths.recovery, name), 'It is another recovery point than its name says.');
      return 'damaged';
    } catch (error) {
      if (!(error instanceof CwmError) || (error.name !== 'Corrupted' && error.name !== 'UnsupportedSchema'))
        throw error;
      // Whole, but of another version: it is left alone.
      if (error.name === 'UnsupportedSchema') this.#parts.quarantine.note(join(paths.recovery, name), error.message);
      return 'damaged';
    }
  }
}

const nameOf = (sequence: number, id: string): string => `${String(sequence).padStart(10, '0')}-${id}.json`;

function parseName(name: string): Named | null {
  const [, sequence, id] = /^(\d{10})-([0-9a-f]{8})\.json$/.exec(name) ?? [];
  return sequence !== undefined && id !== undefined ? { sequence: Number(sequence), id, name } : null;
}
