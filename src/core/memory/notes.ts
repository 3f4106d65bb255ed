import { CwmError } from '../../protocol/errors.ts';
import type { Note } from '../../protocol/memory/records.ts';
import { memoryScopes, type MemoryScope } from '../../protocol/memory/scopes.ts';

/** Of one text, in UTF-8; and of the texts of one scope. They are small, so that all of them fit in front of a session. */
const mostBytes = 2_048;
const mostNotes = 100;

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
  const scope = /^[ups]\d{1,9}$/.test(id) ? memoryScopes.find(([letter]) => letter === id[0]) : undefined;
  if (scope === undefined)
    throw new CwmError('InvalidParameter', `${JSON.stringify(id)} is not the id of a memory, like u1, p1 or s1.`);
  return scope;
}

/** @throws CwmError InvalidParameter (no text, too long a one, too many). */
export function newNote(scope: MemoryScope, text: string, versions: readonly Note[], at: string): LiveNote {
  requireText(text);
  if (liveNotes(versions).length >= mostNotes)
    throw new CwmError('InvalidParameter', `The ${scope} has ${mostNotes} memories, and no more fit.`, {
      hint: 'Forget one of them first ("cwm memory forget").',
    });
  const numbers = versions.map(({ id }) => Number(id.slice(1)));
  // A forgotten id is never given again.
  const number = numbers.reduce((most, each) => Math.max(most, each), 0) + 1;
  return { type: 'note', id: `${scope[0]}${number}`, version: 1, text, at };
}

/** The next version of a memory. @param text null: it is forgotten. @throws CwmError InvalidParameter (as {@link newNote}, no such memory). */
export function changedNote(id: string, text: string | null, versions: readonly Note[], at: string): Note {
  if (text !== null) requireText(text);
  return { type: 'note', id, version: requireNote(id, versions).version + 1, text, at };
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
  if (bytes > mostBytes)
    throw new CwmError('InvalidParameter', `The text has ${bytes} bytes, and a memory takes at most ${mostBytes}.`);
}
