import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, mkdir, open, readdir, readFile, realpath, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { decodeText } from '../base/decodeText.ts';
import { sha256Hex } from '../base/hash.ts';
import { CwmError } from '../protocol/errors.ts';

const mostBytes = 4 * 1024 * 1024;
const byteOrderMark = '\uFEFF';

/** A configuration file of another program, or the place where there will be one. */
export interface ConfigFile {
  /** As it is named. */
  readonly path: string;
  /** Where a link at `path` leads; the same path where there is none. */
  readonly target: string;
  /** Null: there is no file. */
  readonly bytes: Buffer | null;
  /** Without a byte order mark; empty where there is no file. */
  readonly text: string;
  /** Access bits of the file; 0600 of a new one, since it gets a token. */
  readonly mode: number;
}

/**
 * Reads a configuration file, through links.
 *
 * @throws CwmError InvalidConfig for what is no text file of at most 4 MiB, and for a link that leads nowhere; ReadFailed.
 */
export async function readConfigFile(path: string): Promise<ConfigFile> {
  const none = { path, target: path, bytes: null, text: '', mode: 0o600 };
  try {
    if ((await lstatOrNull(path)) === null) return none;
    const target = await realpath(path);
    await using handle = await open(target, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const found = await handle.stat();
    if (!found.isFile()) throw new CwmError('InvalidConfig', `${path} is no file.`);
    if (found.size > mostBytes) throw new CwmError('InvalidConfig', `${path} is larger than 4 MiB.`);
    const bytes = await handle.readFile();
    const decoded = decodeText(bytes);
    const isUtf8 = 'text' in decoded && Buffer.from(decoded.text).length >= bytes.length - 3;
    if (!('text' in decoded) || !isUtf8) throw new CwmError('InvalidConfig', `${path} is no UTF-8 text.`);
    const mode = found.mode & 0o777;
    return { path, target, bytes, text: decoded.text, mode };
  } catch (error) {
    if (error instanceof CwmError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new CwmError('InvalidConfig', `${path} is a link that leads nowhere.`);
    throw new CwmError('ReadFailed', `${path} cannot be read.`, { cause: error });
  }
}

/** The bytes of a new text of a file, with the byte order mark that it has. */
function bytesFor({ bytes }: ConfigFile, text: string): Buffer {
  const hasMark = bytes?.subarray(0, 3).equals(Buffer.from(byteOrderMark)) ?? false;
  return Buffer.from(hasMark ? byteOrderMark + text : text);
}

/**
 * Writes a file as a whole, or leaves the one that is there. It survives a power cut once this returns.
 *
 * @throws CwmError WriteFailed.
 */
export async function replaceFile(target: string, bytes: Uint8Array, mode: number): Promise<void> {
  const beside = `${target}.${randomUUID()}.new`;
  try {
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    try {
      await writeNew(beside, bytes, mode);
      await rename(beside, target);
    } finally {
      await rm(beside, { force: true });
    }
    await syncFolder(dirname(target));
  } catch (error) {
    throw new CwmError('WriteFailed', `${target} cannot be written.`, { cause: error });
  }
}

/**
 * Writes a changed text and stores what was there before beside the file, under a name that says which content it belongs to. A second change
 * to the same content keeps the first backup.
 *
 * @param without what the file would be without an earlier change, where somebody changed it since; null: no file. Default: as it is.
 * @throws CwmError WriteFailed.
 */
export async function changeFile(file: ConfigFile, text: string, without?: string | null): Promise<void> {
  const { target, bytes, mode } = file;
  const next = bytesFor(file, text);
  if (bytes?.equals(next)) return;
  // Another file in its place would get around that.
  if (bytes !== null && (mode & 0o200) === 0) throw new CwmError('WriteFailed', `${target} is read-only.`);
  const earlier = bytes === null ? null : await readIfThere(backupOf(target, bytes));
  const clean = typeof without === 'string' ? bytesFor(file, without) : without;
  const backup = backupOf(target, next);
  // Backup first: a crash between the two leaves a backup of what is there.
  await replaceFile(backup, earlier ?? stored(clean === undefined ? bytes : clean), mode);
  await replaceFile(target, next, mode);
  await removeBackups(target, backup);
}

/**
 * What was there before a change of {@link changeFile} that somebody changed since: null where there was no file, undefined where there is no
 * backup, or only that of this content.
 */
export async function beforeChange({ target, bytes }: ConfigFile): Promise<string | null | undefined> {
  const backups = await backupsOf(target);
  if (bytes !== null && backups.includes(backupOf(target, bytes))) return undefined;
  const found = backups[0] === undefined ? null : await readIfThere(backups[0]);
  if (found === null) return undefined;
  return found[0] === there ? found.subarray(1).toString().replace(byteOrderMark, '') : null;
}

/** Puts back what {@link changeFile} found, byte for byte. @returns false where somebody changed the file since, and leaves it then. */
export async function putBack({ target, bytes, mode }: ConfigFile): Promise<boolean> {
  if (bytes === null) return false;
  const backup = backupOf(target, bytes);
  const found = await readIfThere(backup);
  if (found === null) return false;
  if (found[0] === there) await replaceFile(target, found.subarray(1), mode);
  else await removeFile(target);
  await removeBackups(target);
  return true;
}

/** Writes a text, and removes the backups; null removes the file too. @throws CwmError WriteFailed. */
export async function rewriteFile(file: ConfigFile, text: string | null): Promise<void> {
  await (text === null ? removeFile(file.target) : replaceFile(file.target, bytesFor(file, text), file.mode));
  await removeBackups(file.target);
}

/** The first byte of a backup: whether there was a file. The rest is its content. */
const [there, missing] = [0x2b, 0x2d];

const stored = (bytes: Buffer | null): Buffer =>
  bytes === null ? Buffer.from([missing]) : Buffer.concat([Buffer.from([there]), bytes]);

const backupOf = (target: string, after: Uint8Array): string => `${target}.before-cwm-${sha256Hex(after).slice(0, 12)}`;

/** There is one, unless a crash or another program came between. */
async function backupsOf(target: string): Promise<string[]> {
  const start = `${basename(target)}.before-cwm-`;
  const names = await readdir(dirname(target)).catch(() => []);
  return names
    .filter((name) => name.startsWith(start) && /^[0-9a-f]{12}$/.test(name.slice(start.length)))
    .map((name) => join(dirname(target), name));
}

async function removeBackups(target: string, except?: string): Promise<void> {
  for (const backup of await backupsOf(target)) if (backup !== except) await removeFile(backup);
}

async function readIfThere(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new CwmError('ReadFailed', `${path} cannot be read.`, { cause: error });
  }
}

export async function removeFile(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncFolder(dirname(path)).catch(() => undefined);
}

async function writeNew(path: string, bytes: Uint8Array, mode: number): Promise<void> {
  await using handle = await open(path, 'wx', mode);
  await handle.writeFile(bytes);
  // The umask of the backend narrows what `open` is given. Some file systems refuse chmod, so it is called only where it must be.
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) await handle.chmod(mode);
  await handle.sync();
}

/** Windows cannot open a folder. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  await using handle = await open(path, 'r');
  await handle.sync();
}

async function lstatOrNull(path: string): Promise<object | null> {
  try {
    return await lstat(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}
