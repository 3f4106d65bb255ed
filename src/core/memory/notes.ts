import { CwmError } from '../../protocol/errors.ts';
import type { Note } from '../../protocol/memory/records.ts';
import { memoryScopes, mostMemoryBytes, type MemoryScope } from '../../protocol/memory/scopes.ts';
import type { ContextFile } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import type { Remembering } from './remembering.ts';

/** Of one scope. */
const mostNotes = 100;
const longestTool = 200;

/** A memory that counts now. */
export type LiveNote = Note & { readonly text: string };

/** The last version of each that is not forgotten, in the order in which they were first remembered. */
export function liveNotes(versions: readonly Note[]): LiveNote[] {
  const last = new Map<string, Note>();
  for (const note of versions) last.set(note.id, note);
  return [...last.values()].filter((note): note is LiveNote => note.text !== null);
}

/** @throws CwmError InvalidParameter (an id that no memory can have). */
export function scopeOf(id: string): MemoryScope {
  const scope = /^[utps]\d{1,9}$/.test(id) ? memoryScopes.find(([letter]) => letter === id[0]) : undefined;
  if (scope === undefined)
    throw new CwmError('InvalidParameter', `${JSON.stringify(id)} is not the id of a memory, like u1, t1, p1 or s1.`);
  return scope;
}

/** What a memory says, and the tool that it is about, where it is of that scope. */
export interface Remembered {
  readonly scope: MemoryScope;
  readonly text: string;
  readonly tool?: string | undefined;
}

/**
 * @param all the versions that lie where those of the scope lie: the user's are beside those of tools.
 * @throws CwmError InvalidParameter (no text, too long a one, too many; a tool where the scope has none, or none where it has).
 */
export function newNote({ scope, text, tool }: Remembered, all: readonly Note[], at: string): LiveNote {
  requireText(text);
  if ((scope === 'tool') !== (tool !== undefined && tool.trim() !== ''))
    throw new CwmError('InvalidParameter', 'A memory of a tool, and no other, needs the name of the tool.');
  if (tool !== undefined && tool.length > longestTool)
    throw new CwmError('InvalidParameter', `The name of the tool has more than ${longestTool} characters.`);
  const versions = all.filter(({ id }) => scopeOf(id) === scope);
  requireRoom(scope, versions, 1);
  const numbers = versions.map(({ id }) => Number(id.slice(1)));
  // A forgotten id is never given again.
  const number = numbers.reduce((most, each) => Math.max(most, each), 0) + 1;
  return { type: 'note', id: `${scope[0]}${number}`, version: 1, text, at, ...(tool !== undefined && { tool }) };
}

/** @param added how many memories are to come. @throws CwmError InvalidParameter. */
export function requireRoom(scope: MemoryScope, versions: readonly Note[], added: number): void {
  if (liveNotes(versions).length + added <= mostNotes) return;
  throw new CwmError('InvalidParameter', `A ${scope} has at most ${mostNotes} memories, and no more fit.`, {
    hint: 'Forget one of them first ("cwm memory forget").',
  });
}

/** The next version of a memory. @param text null: it is forgotten. @throws CwmError InvalidParameter (as {@link newNote}, no such memory). */
export function changedNote(id: string, text: string | null, versions: readonly Note[], at: string): Note {
  if (text !== null) requireText(text);
  const { version, tool } = requireNote(id, versions);
  return { type: 'note', id, version: version + 1, text, at, ...(tool !== undefined && { tool }) };
}

/** @throws CwmError InvalidParameter. */
export function requireNote(id: string, versions: readonly Note[]): LiveNote {
  const found = liveNotes(versions).find((note) => note.id === id);
  if (found) return found;
  throw new CwmError('InvalidParameter', `There is no memory "${id}" here.`, {
    hint: 'See "cwm memory list" for those that are there.',
  });
}

function requireText(text: string): void {
  if (text.trim() === '') throw new CwmError('InvalidParameter', 'There is no text to remember.');
  if (!text.isWellFormed()) throw new CwmError('InvalidParameter', 'The text has half a character.');
  const bytes = Buffer.byteLength(text);
  if (bytes > mostMemoryBytes)
    throw new CwmError(
      'InvalidParameter',
      `The text has ${bytes} bytes, and a memory takes at most ${mostMemoryBytes}.`,
    );
}

/** How the memories are named among the files of a context. No file has this name. */
const memoriesPath = 'memories:';

/** Memories as a file of a context, in the order in which they were first remembered. Null: none counts now. */
export function memoriesFile(versions: readonly Note[]): ContextFile | null {
  const text = liveNotes(versions)
    .map((note) => {
      const about = note.tool === undefined ? '' : `Tool ${note.tool.replaceAll(/\s+/g, ' ')}: `;
      return `- ${about}${note.text.trim().replaceAll('\n', '\n  ')}\n`;
    })
    .join('');
  return text === '' ? null : { path: memoriesPath, text };
}

/** It was stored in front of a message that then failed. Those of a base stand behind its files. */
const isOfMemories = ({ files }: { readonly files: readonly ContextFile[] }): boolean =>
  files.length === 1 && files[0]?.path === memoriesPath;

/**
 * What a session has in front of its first message: the memories of the user, of tools, of its project and of itself. Those that its base has
 * are there already.
 *
 * @returns null where the session wants none, none counts, or something was said in it.
 */
export async function memoriesFor(
  core: Pick<CoreContext, 'store' | 'memories'>,
  { session, messages }: Pick<Remembering, 'session' | 'messages'>,
): Promise<readonly ContextFile[] | null> {
  if (!session.settings?.memories) return null;
  const files: ContextFile[] = [];
  for (const { content } of messages) {
    if (content.type !== 'context' || isOfMemories(content)) return null;
    files.push(...content.files);
  }
  const hasOthers = files.some(({ path }) => path === memoriesPath);
  const { notes: own } = await core.memories.of(session);
  const { memory } = core.store;
  const ofUser = hasOthers ? [] : await memory.notes(null);
  const ofProject = hasOthers || session.project === null ? [] : await memory.notes(session.project);
  const file = memoriesFile([...ofUser, ...ofProject, ...own]);
  return file && [file];
}
