import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as z from 'zod/mini';
import { decodeText } from '../../base/decodeText.ts';
import { unlessAborted } from '../../base/unlessAborted.ts';
import type { FoundConfig, ProjectFolders } from '../../core/ports/projects.ts';
import { CwmError, isCwmError } from '../../protocol/errors.ts';
import { configIssue } from './configIssue.ts';
import { byChange, gitHints } from './git.ts';
import { parseProjectUri, type ProjectUri } from '../../protocol/ids.ts';
import { projectConfigSchema, type ProjectConfig, type ProjectHints } from '../../protocol/schemas/projectConfig.ts';

/** The only files that are ever read, the first before the second. */
const names = [join('.cwm', 'config.json'), join('.codebase-mcp', 'config.json')] as const;
/** Folders above the given one. */
const mostLevels = 20;
const mostBytes = 64 * 1024;
/** Of a file that has more, the others are told once these are mended. */
const mostIssues = 3;
const mostCached = 100;
/** A folder on a drive that does not answer. */
const defaultPatienceMs = 2_000;

interface Cached {
  /** Of the file when it was read. */
  readonly stamp: string;
  readonly config: ProjectConfig;
}

/** The disk, as far as it is asked here. */
export type ConfigDisk = Pick<typeof fs, 'open' | 'realpath' | 'lstat' | 'stat'>;

/**
 * The configuration files of projects, looked for from a folder upwards. Each look asks for every file again, so that a nearer one that was
 * made since is found; what a file says is remembered as long as its stat fields stay.
 */
export class ProjectConfigs implements ProjectFolders {
  /** The file that was used last comes last. */
  readonly #cache = new Map<string, Cached>();
  /** Folders whose drive does not answer. No second request waits for one: it would take another thread. */
  readonly #stuck = new Set<string>();
  readonly #disk: ConfigDisk;
  readonly #patienceMs: number;

  /** @param patienceMs how long a drive may take to answer, in milliseconds. Default: 2,000. */
  constructor(disk: ConfigDisk = fs, patienceMs: number = defaultPatienceMs) {
    this.#disk = disk;
    this.#patienceMs = patienceMs;
  }

  /**
   * The nearest one; null where there is none.
   *
   * @param folder absolute.
   * @throws CwmError InvalidDirectory when the folder is no folder, InvalidParameter when a file that exists is bad: no other one is taken in its
   * place. OperationTimeout when its drive does not answer within two seconds.
   */
  find(folder: string, signal: AbortSignal): Promise<FoundConfig | null> {
    return this.#inTime(folder, signal, async () => this.#find(await this.#realFolder(folder)));
  }

  async config(project: ProjectUri, signal: AbortSignal): Promise<FoundConfig | null> {
    if (!project.startsWith('file:')) return null;
    try {
      return await this.find(fileURLToPath(project), signal);
    } catch (error) {
      if (isCwmError(error, 'InvalidDirectory') || error instanceof TypeError) return null;
      throw error;
    }
  }

  async canonical(project: ProjectUri, signal: AbortSignal): Promise<ProjectUri> {
    const path = this.pathOf(project);
    if (path === null) return canonicalUri(project);
    try {
      return await this.uriOf(path, signal);
    } catch (error) {
      if (!isCwmError(error, 'InvalidDirectory')) throw error;
      return parseProjectUri(pathToFileURL(path).href);
    }
  }

  async hints(project: ProjectUri, signal: AbortSignal): Promise<ProjectHints> {
    const path = this.pathOf(project);
    return path === null ? { remote: null, firstCommit: null } : gitHints(path, signal);
  }

  async exists(project: ProjectUri, signal: AbortSignal): Promise<boolean | null> {
    const path = this.pathOf(project);
    // Lists ask for many folders. Of those on a drive that does not answer, one takes a thread, and not each of them.
    if (path === null || this.#stuck.size > 0) return null;
    const isFolder = async (): Promise<boolean> => (await this.#disk.stat(path)).isDirectory();
    try {
      return await this.#inTime(path, signal, isFolder);
    } catch (error) {
      const isGone = ['ENOENT', 'ENOTDIR', 'ELOOP'].includes((error as NodeJS.ErrnoException).code ?? '');
      return isGone ? false : null;
    }
  }

  pathOf(project: ProjectUri): string | null {
    try {
      return project.startsWith('file:') ? fileURLToPath(project) : null;
    } catch {
      return null;
    }
  }

  byChange(folder: string, paths: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
    return byChange(folder, paths, signal);
  }

  uriOf(folder: string, signal: AbortSignal): Promise<ProjectUri> {
    return this.#inTime(folder, signal, async () => {
      const path = await this.#realFolder(folder);
      if (path !== null) return parseProjectUri(pathToFileURL(path).href);
      throw new CwmError('InvalidDirectory', `${folder} is a link that leads back to itself.`);
    });
  }

  async #inTime<T>(folder: string, signal: AbortSignal, look: () => Promise<T>): Promise<T> {
    const seconds = this.#patienceMs / 1000;
    const dead = new CwmError('OperationTimeout', `The folder ${folder} did not answer within ${seconds} s.`);
    if (this.#stuck.has(folder)) throw dead;
    const late = AbortSignal.timeout(this.#patienceMs);
    const looking = look();
    try {
      return await unlessAborted(looking, AbortSignal.any([signal, late]));
    } catch (error) {
      if (!late.aborted || signal.aborted) throw error;
      this.#stuck.add(folder);
      const answers = (): boolean => this.#stuck.delete(folder);
      void looking.then(answers, answers);
      throw dead;
    }
  }

  async #find(start: string | null): Promise<FoundConfig | null> {
    if (start === null) return null;
    const folders = [start];
    for (let at = start; folders.length <= mostLevels && dirname(at) !== at;) folders.push((at = dirname(at)));
    const paths = folders.flatMap((each) => names.map((name) => join(each, name)));
    const found = await Promise.all(paths.map((path) => this.#stampOf(path)));
    const nearest = found.findIndex((stamp) => stamp !== null);
    const [path, stamp] = [paths[nearest], found[nearest]];
    if (path === undefined || !stamp) return null;
    const cached = this.#cache.get(path);
    this.#cache.delete(path);
    const config = cached?.stamp === stamp ? cached.config : await this.#read(path);
    this.#cache.set(path, { stamp, config });
    for (const oldest of this.#cache.keys()) {
      if (this.#cache.size <= mostCached) break;
      this.#cache.delete(oldest);
    }
    const root = parseProjectUri(pathToFileURL(dirname(dirname(path))).href);
    return { path, root, config };
  }

  /** Null where there is none, also in a folder that cannot be searched. @throws CwmError InvalidParameter where its own folder cannot be. */
  async #stampOf(path: string): Promise<string | null> {
    try {
      const { ino, size, mtimeNs, ctimeNs } = await this.#disk.lstat(path, { bigint: true });
      return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') return null;
      const hasFolder = await this.#disk.lstat(dirname(path)).then(
        () => true,
        () => false,
      );
      // It is the nearest one as far as anybody can see, so no other one is taken. The reading says what is wrong.
      return hasFolder ? 'unreadable' : null;
    }
  }

  async #read(path: string): Promise<ProjectConfig> {
    const bytes = await this.#readPlainFile(path).catch((error: unknown) => {
      if (!(error instanceof ChangedWhileRead)) throw error;
      return this.#readPlainFile(path).catch((again: unknown) => {
        throw again instanceof ChangedWhileRead ? bad(path, 'it changes while it is read') : again;
      });
    });
    return parseConfig(path, bytes);
  }

  /** Null for links in a circle. */
  async #realFolder(folder: string): Promise<string | null> {
    if (!isAbsolute(folder)) {
      throw new CwmError('InvalidDirectory', `${JSON.stringify(folder)} is not an absolute path.`);
    }
    let why = 'it is no folder';
    try {
      const path = await this.#disk.realpath(folder);
      if ((await this.#disk.stat(path)).isDirectory()) return path;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ELOOP') return null;
      why = code === 'ENOENT' ? 'it does not exist' : `it cannot be read (${code})`;
    }
    throw new CwmError('InvalidDirectory', `${folder} cannot be used: ${why}.`);
  }

  /** A link may lead to any file of the user, so none is followed: neither the file nor its folder. */
  async #readPlainFile(path: string): Promise<Uint8Array> {
    const isLink = (at: string): Promise<boolean> =>
      this.#disk.lstat(at).then(
        (stats) => stats.isSymbolicLink(),
        () => false,
      );
    if (await isLink(dirname(path))) throw bad(path, 'its folder is a link');
    // Windows has no O_NOFOLLOW.
    if (await isLink(path)) throw bad(path, 'it is a link');
    const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
    const file = await this.#disk.open(path, flags).catch((error: NodeJS.ErrnoException) => {
      throw bad(path, error.code === 'ELOOP' ? 'it is a link' : `it cannot be read (${error.code ?? error.message})`);
    });
    try {
      const before = await file.stat({ bigint: true });
      if (!before.isFile()) throw bad(path, 'it is no file');
      if (before.size > mostBytes) throw bad(path, `it is larger than ${mostBytes / 1024} KiB`);
      const bytes = Buffer.alloc(mostBytes + 1);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
      const after = await file.stat({ bigint: true });
      const isSame = after.mtimeNs === before.mtimeNs && after.size === before.size;
      if (!isSame || BigInt(bytesRead) !== before.size) throw new ChangedWhileRead();
      return bytes.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  }
}

/** A folder of a virtual or remote file system: scheme and host in lower case, one form of its letters. */
const canonicalUri = (project: ProjectUri): ProjectUri =>
  parseProjectUri(project.normalize('NFC').replace(/^[^/]*\/\/[^/]*/, (head) => head.toLowerCase()));

class ChangedWhileRead extends Error {}

const bad = (path: string, why: string): CwmError =>
  new CwmError('InvalidParameter', `${path} is not used: ${why}.`, {
    hint: 'Correct or delete the file. No other configuration is taken in its place.',
    context: { path },
  });

function parseConfig(path: string, bytes: Uint8Array): ProjectConfig {
  const decoded = decodeText(bytes);
  if ('why' in decoded) throw bad(path, `it is ${decoded.why}`);
  let value: unknown;
  try {
    value = JSON.parse(decoded.text);
  } catch (error) {
    throw bad(path, `it is not JSON (${error instanceof Error ? error.message : String(error)})`);
  }
  const parsed = z.safeParse(projectConfigSchema, value);
  if (parsed.success) return parsed.data;
  throw bad(
    path,
    parsed.error.issues
      .map((issue) => configIssue(issue, value))
      .slice(0, mostIssues)
      .join('; '),
  );
}
