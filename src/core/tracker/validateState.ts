import { CwmError } from '../../protocol/errors.ts';
import type { StateContent } from '../../protocol/schemas/tracker.ts';
import { isJsonObject } from './state.ts';

/** What is wrong with a state, in plain words; empty when it may be stored. */
export type StateValidator = (content: StateContent) => readonly string[];

/** Size of the whole state as JSON. */
export const maxStateBytes = 256 * 1024;
const maxStateDepth = 32;
const maxMetadataEntries = 64;
const maxMetadataLength = 1000;

/** S3-06: JSON and nothing else, of bounded size and depth; metadata are short texts. */
export const validateState: StateValidator = ({ data, metadata }) => {
  const problems: string[] = [];
  if (!isJsonObject(data)) problems.push('Its data is not an object.');
  else checkJson(data, 'data', 1, problems);
  if (!isJsonObject(metadata)) problems.push('Its metadata is not an object.');
  else checkMetadata(metadata, problems);
  if (problems.length > 0) return problems.slice(0, 10);
  const sizeBytes = utf8Bytes(JSON.stringify({ data, metadata }));
  if (sizeBytes > maxStateBytes) problems.push(`It has ${sizeBytes} bytes as JSON; the limit is ${maxStateBytes}.`);
  return problems;
};

/** @throws CwmError InvalidState that names what is wrong. */
export function requireValid(content: StateContent, validate: StateValidator): void {
  const problems = validate(content);
  if (problems.length === 0) return;
  throw new CwmError('InvalidState', `The state cannot be stored. ${problems.join(' ')}`, { context: { problems } });
}

function checkJson(value: unknown, path: string, depth: number, problems: string[]): void {
  if (problems.length >= 10) return;
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return;
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) problems.push(`"${shorten(path)}" is not a finite number.`);
    return;
  }
  if (typeof value !== 'object' || !(Array.isArray(value) || isPlain(value))) {
    problems.push(`"${shorten(path)}" is nothing that JSON can say.`);
    return;
  }
  if (depth > maxStateDepth) {
    problems.push(`"${shorten(path)}" is deeper than ${maxStateDepth} levels.`);
    return;
  }
  for (const [name, inner] of Object.entries(value)) {
    // Many programs would take a value under this name for the object's prototype.
    if (name === '__proto__') problems.push(`"${shorten(path)}" has the name "__proto__".`);
    else checkJson(inner, `${path}.${name}`, depth + 1, problems);
  }
}

function checkMetadata(metadata: object, problems: string[]): void {
  const entries = Object.entries(metadata);
  if (entries.length > maxMetadataEntries) {
    problems.push(`Its metadata has ${entries.length} entries; the limit is ${maxMetadataEntries}.`);
  }
  for (const [name, value] of entries) {
    if (name === '__proto__') problems.push('Its metadata has the name "__proto__".');
    if (name.length > maxMetadataLength || typeof value !== 'string' || value.length > maxMetadataLength) {
      problems.push(`"metadata.${shorten(name)}" is not a text of at most ${maxMetadataLength} characters.`);
    }
  }
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

const utf8Bytes = (text: string): number => new TextEncoder().encode(text).length;
const shorten = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);
