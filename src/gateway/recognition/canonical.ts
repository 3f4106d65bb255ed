import { hash } from 'node:crypto';
import type { Item } from '../formats/item.ts';
import { ownText } from '../formats/ownText.ts';
import { objectOf, parsed, plainJson, sortedJson, textOf, tooDeep, type JsonObject } from '../formats/json.ts';

/**
 * One message in the form in which two spellings of it are equal: without ids of calls and items, reasoning and blanks around it, and with
 * arguments as the JSON that they stand for.
 */
export const canonical = ({ role, text, name, calls = [], others = [] }: Item): string =>
  JSON.stringify([
    role,
    role === 'assistant' ? withoutThoughts(text.trim()) : text.trim(),
    ...(calls.length > 0 || others.length > 0
      ? [calls.map(({ name, arguments: given }) => [name, canonicalArguments(given)]), others]
      : []),
    ...(name === undefined ? [] : [{ name }]),
  ]);

/** Some clients say the reasoning that they got back as text before the answer (gptme, aider), and some models write it there. */
const withoutThoughts = (text: string): string => text.replace(/^<(think[\w-]*)>[^]*?<\/\1>\s*/, '');

function canonicalArguments(written: string): string {
  const value = parsed(written);
  return value === null ? written.trim() : sortedJson(value);
}

/** 128 bits: no two conversations of one user meet. */
export const shortHash = (text: string): string => ownText(hash('sha256', text, 'base64url').slice(0, 22));

/**
 * An answer without a word, a call or anything else. Clients leave it out of their next requests, or send it as they like, so that it changes no
 * chain.
 */
export const isEmptyAnswer = ({ role, text, calls = [], others = [] }: Item): boolean =>
  role === 'assistant' && calls.length === 0 && others.length === 0 && withoutThoughts(text.trim()) === '';

/** Whether what follows an item stands behind an empty answer, where there is one: the client says it, or has left it out. */
export function isBehindEmpty(items: readonly Item[], at: number): boolean {
  const [item, next] = [items[at], items[at + 1]];
  return (item !== undefined && isEmptyAnswer(item)) || next?.role === 'user' || next?.role === 'system';
}

/** Names everything that was said up to a message. */
export const chainOf = (before: string, item: Item): string =>
  isEmptyAnswer(item) ? before : shortHash(`${before}\n${canonical(item)}`);

/** Where conversations of a project begin. */
export const rootOf = (project: string | null): string => shortHash(`project\n${project ?? ''}`);

/** Clients send the same tools with each request, perhaps a hundred thousand characters of them. */
const knownTools = new WeakMap<readonly unknown[], string>();
const lastTools = new Map<string, string>();
const mostLastTools = 16;
const longestKnown = 1 << 20;

/** One tool of a list. */
export interface KnownTool {
  /** At most 100 characters; empty for one without. */
  readonly name: string;
  /** Equal for tools that say the same. */
  readonly key: string;
}

/** What the keys of lists stand for that were made last. */
const listsOfKeys = new Map<string, readonly KnownTool[]>();
const mostLists = 64;
const longestList = 1000;

/** The tools of a key; null where it was made long ago, or by another process. */
export const toolsOfKey = (key: string): readonly KnownTool[] | null =>
  key === '' ? [] : (listsOfKeys.get(key) ?? null);

/** Tools in any order of keys, whichever format lists them. Markers for caches move from turn to turn. */
export function toolsKey(tools: readonly unknown[]): string {
  if (tools.length === 0) return '';
  const known = knownTools.get(tools);
  if (known !== undefined) return known;
  const written = plainJson(tools);
  const key = lastTools.get(written) ?? keyOfTools(tools);
  knownTools.set(tools, key);
  lastTools.delete(written);
  if (written !== tooDeep && written.length <= longestKnown) lastTools.set(written, key);
  const [oldest] = lastTools.keys();
  if (lastTools.size > mostLastTools && oldest !== undefined) lastTools.delete(oldest);
  return key;
}

function keyOfTools(tools: readonly unknown[]): string {
  const said = tools.map((tool) => sortedJson(withoutMarkers(objectOf(tool) ?? {})));
  const key = shortHash(said.join('\n'));
  listsOfKeys.delete(key);
  listsOfKeys.set(
    key,
    tools.slice(0, longestList).map((tool, at) => ({ name: nameOfTool(tool), key: shortHash(said[at]!) })),
  );
  const [oldest] = listsOfKeys.keys();
  if (listsOfKeys.size > mostLists && oldest !== undefined) listsOfKeys.delete(oldest);
  return key;
}

/** In chat completions, a function has the name; in the other formats, the tool itself. */
function nameOfTool(tool: unknown): string {
  const given = objectOf(tool);
  return ownText((textOf(objectOf(given?.['function'])?.['name']) || textOf(given?.['name'])).slice(0, 100));
}

const withoutMarkers = ({ cache_control: _marker, ...tool }: JsonObject): JsonObject => tool;
