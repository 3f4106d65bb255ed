import { randomUUID } from 'node:crypto';
import { isAbsolute, join, resolve } from 'node:path';
import * as z from 'zod/mini';
import { sessionIdSchema } from '../../protocol/schemas/ids.ts';
import type { StatePeer, StatePeers } from '../../core/ports/states.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { SessionId } from '../../protocol/ids.ts';
import { versionedStateSchema, type VersionedState } from '../../protocol/schemas/tracker.ts';
import { hasCode, type Files } from '../disk/files.ts';
import { DamageError, decodeRecord, encodeRecord } from '../disk/record.ts';
import { isRefusal } from '../disk/refusal.ts';

const stateInFolderSchema = z.extend(versionedStateSchema, { session: sessionIdSchema });
const maxFileBytes = 8 * 1024 * 1024;
const attempts = 5;

interface Named {
  readonly after: number;
  readonly path: string;
}

/** Folders that hold states of sessions for several storage directories: on a shared drive, in a repository. */
export class StateFolders implements StatePeers {
  readonly #files: Files;
  readonly #timeoutMs: number;

  /** @param timeoutMs of one reading or writing; default 30 s. A drive that does not answer must not block a call for ever. */
  constructor(files: Files, timeoutMs = 30_000) {
    this.#files = files;
    this.#timeoutMs = timeoutMs;
  }

  open(location: string): StatePeer {
    if (!isAbsolute(location) || location.includes('\0')) {
      throw new CwmError('InvalidParameter', 'The folder to synchronise with must be given by its absolute path.', {
        context: { parameter: 'folder' },
      });
    }
    // With and without a slash at its end it is one folder.
    const path = resolve(location);
    const folder = new StateFolder(this.#files, path);
    return {
      location: path,
      read: (session) => this.#bounded(path, folder.read(session)),
      write: (session, next, fromVersion) => this.#bounded(path, folder.write(session, next, fromVersion)),
    };
  }

  async #bounded<T>(location: string, work: Promise<T>): Promise<T> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(failed(location, 'did not answer in time')), this.#timeoutMs);
    try {
      return await Promise.race([work, late]);
    } catch (error) {
      if (error instanceof CwmError) throw error;
      const isMissing = hasCode(error, 'ENOENT', 'ENOTDIR');
      if (isMissing) throw new CwmError('PathNotFound', `${location} is no folder.`, { cause: error });
      throw failed(location, 'could not be used', error);
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * A state is one file, `state-<session>-<version it replaced>.json`. That name can be created only once, so when two clients replace
 * the same version, one of them gets a conflict. The highest version counts, and lower ones are removed. This needs no lock and no
 * server.
 */
class StateFolder {
  readonly #files: Files;
  readonly #folder: string;

  constructor(files: Files, folder: string) {
    this.#files = files;
    this.#folder = folder;
  }

  async read(session: SessionId): Promise<VersionedState | null> {
    for (let attempt = 1; ; attempt++) {
      const latest = (await this.#named(session))[0];
      if (!latest) return null;
      try {
        return await this.#open(latest.path, session);
      } catch (error) {
        // Another client replaced it between listing and reading.
        if (!hasCode(error, 'ENOENT') || attempt === attempts) throw error;
      }
    }
  }

  async write(session: SessionId, next: VersionedState, fromVersion: number): Promise<void> {
    const current = await this.read(session);
    if ((current?.version ?? 0) !== fromVersion) throw this.#overtaken(session);
    const path = join(this.#folder, nameOf(session, fromVersion));
    await this.#claim(path, encodeRecord({ session, ...next }), session);
    await this.#files.syncDirectory(this.#folder);
    const [latest, ...older] = await this.#named(session);
    if (latest?.path !== path) {
      // The replaced version had already been replaced and removed: only for that reason was the name free.
      await this.#files.remove(path).catch(() => undefined);
      throw this.#overtaken(session);
    }
    // The next write removes what cannot be removed now.
    for (const { path: old } of older) await this.#files.remove(old).catch(() => undefined);
  }

  /** The whole file appears under its name, or nothing. */
  async #claim(path: string, bytes: Uint8Array, session: SessionId): Promise<void> {
    const temporary = join(this.#folder, `.${randomUUID()}.tmp`);
    await this.#files.create(temporary, bytes);
    try {
      await this.#files.link(temporary, path).catch((error: unknown) => {
        if (hasCode(error, 'EEXIST')) throw this.#overtaken(session);
        // Without hard links (exFAT, some network drives), a crash may leave a part of the file; its checksum shows that.
        if (isRefusal(error)) return this.#files.create(path, bytes);
        throw error;
      });
    } catch (error) {
      throw hasCode(error, 'EEXIST') ? this.#overtaken(session) : error;
    } finally {
      await this.#files.remove(temporary).catch(() => undefined);
    }
  }

  async #open(path: string, session: SessionId): Promise<VersionedState> {
    const stat = await this.#files.stat(path);
    if (stat && (stat.kind !== 'file' || stat.sizeBytes > maxFileBytes)) throw failed(path, 'is no state');
    try {
      const { session: owner, ...state } = decodeRecord(await this.#files.read(path), stateInFolderSchema);
      if (owner === session) return state;
      throw failed(path, `is that of session "${owner}"`);
    } catch (error) {
      if (error instanceof DamageError) throw failed(path, 'is damaged', error);
      throw error;
    }
  }

  /** The latest first. */
  async #named(session: SessionId): Promise<Named[]> {
    const prefix = `state-${session}-`;
    return (await this.#files.list(this.#folder))
      .filter((name) => name.startsWith(prefix) && /^\d{16}\.json$/.test(name.slice(prefix.length)))
      .map((name) => ({ after: Number(name.slice(prefix.length, -'.json'.length)), path: join(this.#folder, name) }))
      .sort((a, b) => b.after - a.after);
  }

  #overtaken(session: SessionId): CwmError {
    return new CwmError(
      'VersionConflict',
      `The state of session "${session}" in ${this.#folder} was changed by another client.`,
    );
  }
}

const nameOf = (session: SessionId, fromVersion: number): string =>
  `state-${session}-${String(fromVersion).padStart(16, '0')}.json`;

const failed = (path: string, how: string, cause?: unknown): CwmError =>
  new CwmError('SyncFailed', `${path} ${how}.`, { cause });
