import {
  applyEdits,
  modify,
  parse,
  printParseErrorCode,
  type FormattingOptions,
  type JSONPath,
  type ParseError,
} from 'jsonc-parser';
import { CwmError } from '../protocol/errors.ts';

export interface JsonChange {
  readonly path: JSONPath;
  readonly value: unknown;
}

/**
 * Sets values in a JSON object; comments, order, and everything else stay as they are. An empty text is an empty object.
 *
 * @throws CwmError InvalidConfig for what is no JSON object, and where a value on the way is none.
 */
export function setJson(text: string, changes: readonly JsonChange[]): string {
  const from = text.trim() === '' ? '{}\n' : text;
  const root = objectIn(readJson(from));
  for (const { path } of changes) requireObjects(root, path);
  return changes.reduce((now, { path, value }) => changed(now, path, value), from);
}

/**
 * Puts an object into a JSON array, in the place of the one with the same value under `key`, else at its end.
 *
 * @throws CwmError InvalidConfig for what is no JSON array.
 */
export function upsertJsonItem(text: string, key: string, item: Readonly<Record<string, unknown>>): string {
  const from = text.trim() === '' ? '[]\n' : text;
  const list = listIn(from);
  const at = list.findIndex((each: unknown) => (each as Record<string, unknown> | null)?.[key] === item[key]);
  if (at >= 0) return changed(from, [at], item);
  return changed(from, [list.length], item, true);
}

/**
 * Takes values out of a JSON object, and the object that is empty without them.
 *
 * @throws CwmError InvalidConfig for what is no JSON object.
 */
function unsetJson(text: string, outer: string, names: readonly string[]): string {
  const root = objectIn(readJson(text));
  const inner = root[outer];
  if (typeof inner !== 'object' || inner === null) return text;
  const present = names.filter((name) => Object.hasOwn(inner, name));
  if (present.length > 0 && present.length === Object.keys(inner).length) return changed(text, [outer], undefined);
  return present.reduce((now, name) => changed(now, [outer, name], undefined), text);
}

/**
 * Gives values that are still there what an earlier text has for them, and takes out those that it does not have.
 *
 * @throws CwmError InvalidConfig for what is no JSON object.
 */
export function restoreJson(text: string, earlier: string, outer: string, names: readonly string[]): string {
  const [now, before] = [membersOf(text, outer), membersOf(earlier, outer)];
  const had = names.filter((name) => Object.hasOwn(now, name) && Object.hasOwn(before, name));
  const restored = setJson(
    text,
    had.map((name) => ({ path: [outer, name], value: before[name] })),
  );
  const others = names.filter((name) => !had.includes(name));
  return unsetJson(restored, outer, others);
}

/** Puts the object of an earlier text back, or takes it out. @throws as {@link upsertJsonItem}. */
export function restoreJsonItem(text: string, earlier: string, key: string, value: unknown): string {
  const isIt = (each: unknown): boolean => (each as Record<string, unknown> | null)?.[key] === value;
  const before = listIn(earlier).find(isIt);
  const isThere = listIn(text).some(isIt);
  return before && isThere
    ? upsertJsonItem(text, key, before as Record<string, unknown>)
    : removeJsonItem(text, key, value);
}

/** Takes the object with this value under `key` out of a JSON array. @throws CwmError InvalidConfig for what is no JSON array. */
function removeJsonItem(text: string, key: string, value: unknown): string {
  const at = listIn(text).findIndex((each: unknown) => (each as Record<string, unknown> | null)?.[key] === value);
  return at < 0 ? text : changed(text, [at], undefined);
}

/** Whether nothing is in a JSON object or array, not even a comment. */
export const isEmptyJson = (text: string): boolean => /^\s*(\{\s*\}|\[\s*\])?\s*$/.test(text);

/** As editors read it: comments and a comma behind the last value are no errors. */
function readJson(text: string): unknown {
  const problems: ParseError[] = [];
  const value: unknown = parse(text, problems, { allowTrailingComma: true });
  const [first] = problems;
  if (!first) return value;
  const line = text.slice(0, first.offset).split('\n').length;
  throw new CwmError('InvalidConfig', `The file is no JSON: ${printParseErrorCode(first.error)} in line ${line}.`);
}

function membersOf(text: string, outer: string): Record<string, unknown> {
  const inner = text.trim() === '' ? null : objectIn(readJson(text))[outer];
  return typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>) : {};
}

function listIn(text: string): unknown[] {
  const list = text.trim() === '' ? [] : readJson(text);
  if (Array.isArray(list)) return list;
  throw new CwmError('InvalidConfig', 'The file holds no JSON array.');
}

function objectIn(value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new CwmError('InvalidConfig', 'The file holds no JSON object.');
}

/** A value that is no object would be replaced as a whole. */
function requireObjects(root: Record<string, unknown>, path: JSONPath): void {
  let at: Record<string, unknown> = root;
  for (const part of path.slice(0, -1)) {
    const next = at[part];
    if (next === undefined) return;
    if (typeof next !== 'object' || next === null || Array.isArray(next)) {
      throw new CwmError('InvalidConfig', `"${path.slice(0, -1).join('.')}" of the file holds no JSON object.`);
    }
    at = next as Record<string, unknown>;
  }
}

function changed(text: string, path: JSONPath, value: unknown, isArrayInsertion = false): string {
  return applyEdits(text, modify(text, path, value, { formattingOptions: formattingOf(text), isArrayInsertion }));
}

/** As the file is written already. */
function formattingOf(text: string): FormattingOptions {
  const indent = /^([ \t]+)\S/m.exec(text)?.[1] ?? '  ';
  return {
    insertSpaces: !indent.startsWith('\t'),
    tabSize: indent.startsWith('\t') ? 1 : indent.length,
    eol: text.includes('\r\n') ? '\r\n' : '\n',
  };
}
