import { readFile, stat } from 'node:fs/promises';
import type { ContextFileReader, ExcludedPaths, NamedBy, ReadFiles } from '../../core/ports/contextFiles.ts';
import { decodeText } from '../../base/decodeText.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { ContextFile } from '../../protocol/schemas/session.ts';
import { clientRules } from './clientRules.ts';
import { findPaths, shownPath, type FoundPath } from './foundPath.ts';

const maxFileBytes = 1024 * 1024;
/** Far more than any model's context holds; the limit only stops a folder with a million files from filling the memory. */
const maxTotalBytes = 64 * 1024 * 1024;

/**
 * Reads context from this machine's disks. It leaves out files that git ignores or the client excludes, links, likely secrets, binary files and files over 1
 * MiB, and names each with the reason. It never reads `.git`.
 */
export class DiskContextFiles implements ContextFileReader {
  async read(
    paths: readonly string[],
    cwd: string,
    excluded: readonly ExcludedPaths[],
    signal: AbortSignal,
    namedBy: NamedBy = 'user',
  ): Promise<ReadFiles> {
    const found = await findPaths(paths, cwd, clientRules(excluded, cwd), signal, namedBy);
    const files: ContextFile[] = [];
    const skipped: { path: string; why: string }[] = [];
    let totalBytes = 0;
    for (const [path, one] of oncePerPath(found, cwd)) {
      signal.throwIfAborted();
      const content = await readText(one, maxTotalBytes - totalBytes);
      if ('why' in content) skipped.push({ path, why: content.why });
      else files.push({ path, text: content.text });
      if ('text' in content) totalBytes += content.sizeBytes;
    }
    return { files, skipped };
  }
}

/**
 * Files by the path that is shown, sorted by code unit, so that the order is the same everywhere. A path that the user named is always
 * read.
 */
function oncePerPath(found: readonly FoundPath[], cwd: string): [string, FoundPath][] {
  const byPath = new Map<string, FoundPath>();
  for (const one of found) {
    const path = shownPath(one.absolutePath, cwd);
    if (one.named || !byPath.has(path)) byPath.set(path, one);
  }
  return [...byPath].sort(([a], [b]) => (a < b ? -1 : 1));
}

const binary = 'not text';

type Content = { readonly text: string; readonly sizeBytes: number } | { readonly why: string };

/** @throws CwmError ReadFailed when a file that the user named cannot be read. */
async function readText({ absolutePath, named, why }: FoundPath, bytesLeft: number): Promise<Content> {
  if (why !== null) return { why };
  try {
    const { size } = await stat(absolutePath);
    if (size > maxFileBytes) return { why: `larger than ${maxFileBytes / 1024 / 1024} MiB` };
    if (size > bytesLeft) return { why: `the files before it have ${maxTotalBytes / 1024 / 1024} MiB already` };
    const bytes = await readFile(absolutePath);
    const decoded = decodeText(bytes);
    if ('why' in decoded) {
      const isOfUnicode = /^(UTF-|not valid)/.test(decoded.why);
      return bytes.includes(0) && !isOfUnicode ? { why: binary } : decoded;
    }
    // NUL is valid Unicode, but no text file has one: git recognises binary files by it, too.
    if (decoded.text.includes('\0')) return { why: binary };
    return { text: decoded.text, sizeBytes: bytes.length };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (!named) return { why: `cannot be read (${code})` };
    const message = `${absolutePath} cannot be read (${code}).`;
    throw new CwmError('ReadFailed', message, { context: { path: absolutePath }, cause: error });
  }
}
