import { formatCount } from '../../base/format.ts';
import { constants } from 'node:fs';
import { open, realpath, stat } from 'node:fs/promises';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import * as z from 'zod/mini';
import { decodeText } from '../../base/decodeText.ts';
import type { Tool, ToolAnswer } from '../../core/ports/tools.ts';
import type { JsonObject } from '../../protocol/schemas/tracker.ts';
import { shownPath, walk } from '../contextFiles/foundPath.ts';
import { whyLeftOut } from '../contextFiles/whyLeftOut.ts';

const mostReadCharacters = 32 * 1024;
const mostFileBytes = 1024 * 1024;
const mostListed = 500;
const mostSearched = 5000;
const mostMatches = 100;
const mostLineCharacters = 300;

const path = z.string();
const line = z.optional(z.int().check(z.minimum(1)));
const readSchema = z.object({ path, from: line, lines: line });
const listSchema = z.object({ path: z.optional(path) });
const searchSchema = z.object({ text: z.string().check(z.minLength(1), z.maxLength(1000)), path: z.optional(path) });

const tool = (name: string, description: string, properties: JsonObject, required: readonly string[]): Tool => ({
  name,
  description,
  inputSchema: { type: 'object', properties, required, additionalProperties: false },
  readsOnly: true,
  isRepeatable: true,
  isDestructive: false,
});

const pathProperty = { type: 'string', description: 'relative to the workspace' };

/** Tools that read the folder of a project, and nothing outside of it. What git ignores and likely secrets are left out. */
export const workspaceTools: readonly Tool[] = [
  tool('list_files', 'Lists the files of the workspace, or of a folder in it.', { path: pathProperty }, []),
  tool(
    'read_file',
    'Reads a text file of the workspace.',
    {
      path: pathProperty,
      from: { type: 'integer', minimum: 1, description: 'first line, default 1' },
      lines: { type: 'integer', minimum: 1, description: 'how many lines, default as many as fit' },
    },
    ['path'],
  ),
  tool(
    'search_files',
    'Finds lines with a text in the files of the workspace, in upper or lower case.',
    { text: { type: 'string', description: 'the text itself, no pattern' }, path: pathProperty },
    ['text'],
  ),
];

/** @throws the signal's reason. */
export async function callWorkspaceTool(
  folder: string,
  name: string,
  given: JsonObject,
  signal: AbortSignal,
): Promise<ToolAnswer> {
  const root = await realpath(folder);
  try {
    switch (name) {
      case 'list_files':
        return done(await listed(root, checked(listSchema, given).path ?? '.', signal));
      case 'read_file':
        return done(await read(root, checked(readSchema, given)));
      default:
        return done(await searched(root, checked(searchSchema, given), signal));
    }
  } catch (error) {
    if (error instanceof Refusal) return { text: error.message, hasFailed: true };
    throw error;
  }
}

const done = (text: string): ToolAnswer => ({ text, hasFailed: false });

/** What the model is told. */
class Refusal extends Error {}

function checked<Schema extends z.ZodMiniType>(schema: Schema, given: JsonObject): z.output<Schema> {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Refusal(
    `The argument "${issue?.path.join('.') ?? ''}" is invalid: ${issue?.message ?? 'it has another form'}.`,
  );
}

/** A path below the folder, links resolved. @throws Refusal. */
async function within(root: string, given: string): Promise<string> {
  const outside = new Refusal(`"${given}" is outside of the workspace.`);
  const wanted = resolve(root, given);
  if (!isBelow(root, wanted)) throw outside;
  const real = await realpath(wanted).catch(() => null);
  if (real === null) throw new Refusal(`There is no "${given}" in the workspace.`);
  if (!isBelow(root, real)) throw outside;
  const why = real === root ? null : await whyLeftOut(root, real);
  if (why !== null) throw new Refusal(`"${given}" cannot be read: ${why}.`);
  return real;
}

function isBelow(root: string, path: string): boolean {
  const way = relative(root, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

async function listed(root: string, given: string, signal: AbortSignal): Promise<string> {
  const folder = await within(root, given);
  if (!(await stat(folder)).isDirectory()) throw new Refusal(`"${given}" is no folder.`);
  const paths = (await filesBelow(folder, mostListed + 1, signal)).map((each) => shownPath(each, root)).sort();
  const more = paths.length > mostListed ? '\n[There are more: name a folder.]' : '';
  return paths.length === 0 ? 'There are no files.' : `${paths.slice(0, mostListed).join('\n')}${more}`;
}

async function read(root: string, { path, from = 1, lines }: z.output<typeof readSchema>): Promise<string> {
  const text = await textOf(await within(root, path));
  if (text === null) throw new Refusal(`"${path}" is no text file of up to ${mostFileBytes / 1024 / 1024} MiB.`);
  const all = text.split('\n');
  const chosen = all.slice(from - 1, lines === undefined ? undefined : from - 1 + lines).join('\n');
  if (chosen.length <= mostReadCharacters) return chosen;
  const part = chosen.slice(0, mostReadCharacters).toWellFormed();
  return `${part}\n[Cut behind line ${from + part.split('\n').length - 1} of ${all.length}: read on with "from".]`;
}

async function searched(
  root: string,
  { text, path = '.' }: z.output<typeof searchSchema>,
  signal: AbortSignal,
): Promise<string> {
  const wanted = text.toLowerCase();
  const found: string[] = [];
  const files = await filesBelow(await within(root, path), mostSearched + 1, signal);
  const rest =
    files.length > mostSearched
      ? `\n[Only the first ${formatCount(mostSearched)} files were searched: name a folder.]`
      : '';
  for (const file of files.slice(0, mostSearched)) {
    signal.throwIfAborted();
    const content = await textOf(file);
    for (const [at, line] of (content ?? '').split('\n').entries()) {
      if (!line.toLowerCase().includes(wanted)) continue;
      if (found.length === mostMatches) return `${found.join('\n')}\n[There are more matches.]`;
      found.push(`${shownPath(file, root)}:${at + 1}: ${line.trim().slice(0, mostLineCharacters).toWellFormed()}`);
    }
  }
  return `${found.length === 0 ? 'Nothing was found.' : found.join('\n')}${rest}`;
}

async function filesBelow(folder: string, most: number, signal: AbortSignal): Promise<string[]> {
  if (!(await stat(folder)).isDirectory()) return [folder];
  const found = await walk(folder, () => null, signal, most);
  return found.filter(({ canBeNamed, why }) => canBeNamed && why === null).map(({ absolutePath }) => absolutePath);
}

/**
 * Null for what is no text, or too large, and for what is no longer at the path that was checked: a program that swaps a file or a folder
 * for a link, between the check and the reading, would have another file read.
 */
async function textOf(file: string): Promise<string | null> {
  const handle = await open(file, readsWithoutLinks).catch(() => null);
  if (!handle) return null;
  try {
    const stats = await handle.stat({ bigint: true });
    if (!stats.isFile() || stats.size > mostFileBytes) return null;
    const [real, named] = await Promise.all([realpath(file), stat(file, { bigint: true })]);
    // libuv 1.49 and 1.50 tell another volume of a path than of an open file on Windows (libuv#4698).
    const isSame = named.ino === stats.ino && (process.platform === 'win32' || named.dev === stats.dev);
    if (real !== file || !isSame) return null;
    const decoded = decodeText(await handle.readFile());
    return 'text' in decoded && !decoded.text.includes('\0') ? decoded.text : null;
  } catch {
    return null;
  } finally {
    await handle.close();
  }
}

/** Nor does opening a pipe wait for somebody who writes into it. Windows has neither flag. */
const readsWithoutLinks = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
