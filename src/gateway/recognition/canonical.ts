import { hash } from 'node:crypto';
import type { Item } from '../formats/item.ts';
import { ownText } from '../formats/ownText.ts';
import { objectOf, parsed, plainJson, sortedJson, tooDeep, type JsonObject } from '../formats/json.ts';

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

/** Names everything that was said up to a message. */
export const chainOf = (before: string, item: Item): string => shortHash(`${before}\n${canonical(item)}`);

/** Where conversations of a project begin. */
export const rootOf = (project: string | null): string => shortHash(`project\n${project ?? ''}`);

/** Clients send the same tools with each request, perhaps a hundred thousand characters of them. */
const knownTools = new WeakMap<readonly unknown[], string>();
const lastTools = new Map<string, string>();
const mostLastTools = 16;
const longestKnown = 1 << 20;

/** Tools in any order of keys, whichever format lists them. Markers for caches move from turn to turn. */
export function toolsKey(tools: readonly unknown[]): string {
  if (tools.length === 0) return '';
  const known = knownTools.get(tools);
  if (known !== undefined) return known;
  const written = plainJson(tools);
  const key =
    lastTools.get(written) ??
    shortHash(tools.map((tool) => sortedJson(withoutMarkers(objectOf(tool) ?? {}))).join('\n'));
  knownTools.set(tools, key);
  lastTools.delete(written);
  if (written !== tooDeep && written.length <= longestKnown) lastTools.set(written, key);
  const [oldest] = lastTools.keys();
  if (lastTools.size > mostLastTools && oldest !== undefined) lastTools.delete(oldest);
  return key;
}

const withoutMarkers = ({ cache_control: _marker, ...tool }: JsonObject): JsonObject => tool;
