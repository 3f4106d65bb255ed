import { constants } from 'node:fs';
import { lstat, open, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod/mini';
import { decodeText } from '../../base/decodeText.ts';
import { unlessAborted } from '../../base/unlessAborted.ts';
import { CwmError, isCwmError } from '../../protocol/errors.ts';
import { projectConfigSchema, type ProjectConfig } from '../../protocol/schemas/projectConfig.ts';

/** The only files that are ever read, the first before the second. */
const names = [join('.cwm', 'config.json'), join('.codebase-mcp', 'config.json')] as const;
/** Folders above the given one. */
const mostLevels = 20;
const mostBytes = 64 * 1024;
const mostCached = 100;
/** A folder on a drive that does not answer. */
const patienceMs = 2_000;

export interface FoundConfig {
  readonly path: string;
  readonly config: ProjectConfig;
}

interface Cached {
  /** Of the file when it was read. */
  readonly stamp: string;
  readonly config: ProjectConfig;
}

/**
 * The configuration files of projects, looked for from a folder upwards. Each look asks for every file again, so that a nearer one that was
 * made since is found; what a file says is remembered as long as its stat fields stay.
 */
export class ProjectConfigs {
  /** The file that was used last comes last. */
  readonly #cache = new Map<string, Cached>();

  /**
   * The nearest one; null where there is none.
   *
   * @param folder absolute.
   * @throws CwmError InvalidParameter when the folder is no folder, or a file that exists is bad: no other one is taken in its place.
   * OperationTimeout when its drive does not answer within two seconds.
   */
  async find(folder: string, signal: AbortSignal): Promise<FoundConfig | null> {
    const late = AbortSignal.timeout(patienceMs);
    return unlessAborted(this.#find(folder), AbortSignal.any([signal, late])).catch((error: unknown) => {
      if (!late.aborted || signal.aborted) throw error;
      throw new CwmError('OperationTimeout', `The folder ${folder} did not answer within ${patienceMs / 1000} s.`);
    });
  }

  /** Of a project; null also where its folder is on no disk of this machine, or gone. @throws CwmError as {@link find} for a bad file. */
  async ofProject(project: string, signal: AbortSignal): Promise<ProjectConfig | null> {
    if (!project.startsWith('file:')) return null;
    try {
      return (await this.find(fileURLToPath(project), signal))?.config ?? null;
    } catch (error) {
      if (isCwmError(error, 'InvalidParameter') && error.context?.['path'] !== undefined) throw error;
      if (isCwmError(error, 'InvalidParameter') || error instanceof TypeError) return null;
      throw error;
    }
  }

  async #find(folder: string): Promise<FoundConfig | null> {
    const start = await realFolder(folder);
    if (start === null) return null;
    const folders = [start];
    for (let at = start; folders.length <= mostLevels && dirname(at) !== at;) folders.push((at = dirname(at)));
    const paths = folders.flatMap((each) => names.map((name) => join(each, name)));
    const stats = await Promise.all(paths.map((path) => lstat(path, { bigint: true }).catch(() => null)));
    const nearest = stats.findIndex((stats) => stats !== null);
    const [path, found] = [paths[nearest], stats[nearest]];
    if (path === undefined || !found) return null;
    const stamp = `${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}`;
    const cached = this.#cache.get(path);
    this.#cache.delete(path);
    const config = cached?.stamp === stamp ? cached.config : await readConfig(path);
    this.#cache.set(path, { stamp, config });
    for (const oldest of this.#cache.keys()) {
      if (this.#cache.size <= mostCached) break;
      this.#cache.delete(oldest);
    }
    return { path, config };
  }
}

/** Null for links in a circle. */
async function realFolder(folder: string): Promise<string | null> {
  if (!isAbsolute(folder)) throw new CwmError('InvalidParameter', `${JSON.stringify(folder)} is not an absolute path.`);
  try {
    const path = await realpath(folder);
    if ((await stat(path)).isDirectory()) return path;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ELOOP') return null;
  }
  throw new CwmError('InvalidParameter', `${folder} is not a folder that can be read.`);
}

const bad = (path: string, why: string): CwmError =>
  new CwmError('InvalidParameter', `${path} is not used: ${why}.`, {
    hint: 'Correct or delete the file. No other configuration is taken in its place.',
    context: { path },
  });

async function readConfig(path: string): Promise<ProjectConfig> {
  const decoded = decodeText(await readPlainFile(path));
  if ('why' in decoded) throw bad(path, decoded.why);
  let value: unknown;
  try {
    value = JSON.parse(decoded.text);
  } catch (error) {
    throw bad(path, `it is not JSON (${error instanceof Error ? error.message : String(error)})`);
  }
  const parsed = z.safeParse(projectConfigSchema, value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.join('.') || 'the whole';
  throw bad(path, `"${where}" is missing or wrong (${issue?.message ?? 'unknown'})`);
}

/** A link may lead to any file of the user, so none is followed: neither the file nor its folder. */
async function readPlainFile(path: string): Promise<Uint8Array> {
  if ((await lstat(dirname(path))).isSymbolicLink()) throw bad(path, 'its folder is a link');
  // Windows has no O_NOFOLLOW.
  if ((await lstat(path).catch(() => null))?.isSymbolicLink()) throw bad(path, 'it is a link');
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: NodeJS.ErrnoException) => {
      throw bad(path, error.code === 'ELOOP' ? 'it is a link' : `it cannot be read (${error.code ?? error.message})`);
    },
  );
  try {
    const before = await file.stat({ bigint: true });
    if (!before.isFile()) throw bad(path, 'it is no file');
    if (before.size > mostBytes) throw bad(path, `it is larger than ${mostBytes / 1024} KiB`);
    const bytes = await file.readFile();
    const after = await file.stat({ bigint: true });
    if (after.mtimeNs !== before.mtimeNs || after.size !== before.size) throw bad(path, 'it changed while it was read');
    return bytes;
  } finally {
    await file.close();
  }
}
