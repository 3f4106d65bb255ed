import { findNodeAtLocation, getNodeValue, parse, parseTree, type Node, type ParseError } from 'jsonc-parser';
import { CwmError } from '../protocol/errors.ts';

/** A value in the object of a file, or in an object inside it. */
export interface JsonChange {
  /** Null: the object of the file. */
  readonly outer: string | null;
  readonly name: string;
  readonly value: unknown;
}

/**
 * Sets values in a JSON object. Every byte outside of these values, and of the commas between them, stays as it is. An empty text is an empty
 * object.
 *
 * @throws CwmError InvalidConfig for what is no JSON object, and where a value on the way is none.
 */
export function setJson(text: string, changes: readonly JsonChange[]): string {
  const from = text.trim() === '' ? '{}\n' : text;
  const root = objectIn(readJson(from));
  for (const { outer } of changes) requireObject(root, outer);
  return changes.reduce((now, { outer, name, value }) => {
    const whole = treeOf(now);
    const inner = objectAt(whole, outer);
    if (!inner) return inserted(now, whole, outer, { [name]: value });
    const there = valueAt(inner, name);
    return there ? replaced(now, there, value) : inserted(now, inner, name, value);
  }, from);
}

/**
 * Puts an object into a JSON array, in the place of the one with the same value under `key`, else at its end.
 *
 * @throws CwmError InvalidConfig for what is no JSON array.
 */
export function upsertJsonItem(text: string, key: string, item: Readonly<Record<string, unknown>>): string {
  const from = text.trim() === '' ? '[]\n' : text;
  const there = itemWith(from, key, item[key]);
  return there ? replaced(from, there, item) : inserted(from, treeOf(from), null, item);
}

/**
 * Gives values that are still there what an earlier text has for them, as it is written there, and takes out those that it does not have, and
 * then the object that is empty without them, unless it was there.
 *
 * @throws CwmError InvalidConfig for what is no JSON object.
 */
export function restoreJson(text: string, earlier: string, outer: string | null, names: readonly string[]): string {
  objectIn(readJson(text));
  const before = earlier.trim() === '' ? undefined : (objectIn(readJson(earlier)), objectAt(treeOf(earlier), outer));
  const rest = names.reduce((now, name) => {
    const there = valueAt(objectAt(treeOf(now), outer), name);
    const was = valueAt(before, name);
    if (!there) return now;
    return was
      ? spliced(now, there.offset, end(there), earlier.slice(was.offset, end(was)))
      : without(now, there.parent);
  }, text);
  const inner = outer === null ? undefined : valueAt(treeOf(rest), outer);
  const isLeftOver =
    inner !== undefined && rest !== text && !before && inner.type === 'object' && inner.children?.length === 0;
  return isLeftOver ? without(rest, inner.parent) : rest;
}

/** Puts the object of an earlier text back, or takes it out. @throws as {@link upsertJsonItem}. */
export function restoreJsonItem(text: string, earlier: string, key: string, value: unknown): string {
  const there = itemWith(text, key, value);
  const was = itemWith(earlier, key, value);
  if (!there) return text;
  return was ? spliced(text, there.offset, end(there), earlier.slice(was.offset, end(was))) : without(text, there);
}

/** Whether the object of a text, or an object inside it, has a field. @throws CwmError InvalidConfig for what is no JSON object. */
export function hasJson(text: string, outer: string | null, name: string): boolean {
  if (text.trim() === '') return false;
  objectIn(readJson(text));
  return valueAt(objectAt(treeOf(text), outer), name) !== undefined;
}

/** Whether nothing is in a JSON object or array, not even a comment. */
export const isEmptyJson = (text: string): boolean => /^\s*(\{\s*\}|\[\s*\])?\s*$/.test(text);

const asEditorsRead = { allowTrailingComma: true };

/** As editors read it: comments and a comma behind the last value are no errors. */
function readJson(text: string): unknown {
  const problems: ParseError[] = [];
  const value: unknown = parse(text, problems, asEditorsRead);
  const [first] = problems;
  if (!first) return value;
  const line = text.slice(0, first.offset).split('\n').length;
  throw new CwmError('InvalidConfig', `The file is no JSON: see line ${line}.`);
}

/** Of a text that {@link readJson} took. */
function treeOf(text: string): Node {
  const tree = parseTree(text, [], asEditorsRead);
  if (tree) return tree;
  throw new CwmError('InvalidConfig', 'The file holds no JSON.');
}

const objectAt = (tree: Node, outer: string | null): Node | undefined => (outer === null ? tree : valueAt(tree, outer));
const valueAt = (tree: Node | undefined, name: string): Node | undefined => tree && findNodeAtLocation(tree, [name]);

/** @throws CwmError InvalidConfig for what is no JSON array. */
function itemWith(text: string, key: string, value: unknown): Node | undefined {
  if (text.trim() === '') return undefined;
  if (!Array.isArray(readJson(text))) throw new CwmError('InvalidConfig', 'The file holds no JSON array.');
  return treeOf(text).children?.find((each) => {
    const found = each.type === 'object' ? valueAt(each, key) : undefined;
    return found !== undefined && getNodeValue(found) === value;
  });
}

function objectIn(value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new CwmError('InvalidConfig', 'The file holds no JSON object.');
}

/** A value that is no object would be replaced as a whole. */
function requireObject(root: Record<string, unknown>, outer: string | null): void {
  const inner = outer === null ? root : root[outer];
  if (inner === undefined || (typeof inner === 'object' && inner !== null && !Array.isArray(inner))) return;
  throw new CwmError('InvalidConfig', `"${outer}" of the file holds no JSON object.`);
}

const end = ({ offset, length }: Node): number => offset + length;
const spliced = (text: string, from: number, to: number, piece: string): string =>
  text.slice(0, from) + piece + text.slice(to);

function replaced(text: string, node: Node, value: unknown): string {
  if (JSON.stringify(getNodeValue(node)) === JSON.stringify(value)) return text;
  const holder = node.parent?.type === 'property' ? node.parent.parent : node.parent;
  const written = isOnOneLine(text, holder) ? JSON.stringify(value) : inLines(text, value, indentAt(text, node.offset));
  return spliced(text, node.offset, end(node), written);
}

/** Behind the last value, and behind the comment that belongs to that. @param name null: into an array. */
function inserted(text: string, into: Node, name: string | null, value: unknown): string {
  const title = name === null ? '' : `${JSON.stringify(name)}: `;
  const last = into.children?.at(-1);
  const { unit, eol } = styleOf(text);
  const outside = indentAt(text, into.offset);
  if (!last) {
    const at = endOfLine(text, into.offset + 1);
    const close = text.slice(at, end(into)).includes('\n') ? '' : eol + outside;
    const own = outside + unit;
    return spliced(text, at, at, `${eol}${own}${title}${inLines(text, value, own)}${close}`);
  }
  const comma = commaBehind(text, end(last));
  const [behind, ending] = comma === null ? [end(last), ''] : [comma + 1, ','];
  const isOneLine = isOnOneLine(text, into);
  const own = beginsLine(text, last.offset) ? indentAt(text, last.offset) : outside + unit;
  const piece = isOneLine
    ? ` ${title}${JSON.stringify(value)}${ending}`
    : `${eol}${own}${title}${inLines(text, value, own)}${ending}`;
  const at = isOneLine ? behind : endOfLine(text, behind);
  const longer = spliced(text, at, at, piece);
  return comma === null ? spliced(longer, end(last), end(last), ',') : longer;
}

/** Takes out a property or an item, as if {@link inserted} had never put it there. */
function without(text: string, node: Node | undefined): string {
  if (!node?.parent) return text;
  const all = node.parent.children ?? [];
  const before = all[all.indexOf(node) - 1];
  const endsLine = /^[ \t]*(\r?\n|$)/.test(text.slice(end(node)).replace(/^,/, ''));
  const from = text.slice(0, node.offset).replace(endsLine ? /\s+$/ : /[ \t]+$/, '').length;
  const comma = commaBehind(text, end(node));
  if (comma !== null) return text.slice(0, from) + text.slice(end(node), comma) + text.slice(comma + 1);
  const rest = spliced(text, from, end(node), '');
  const commaBefore = before ? commaBehind(text, end(before)) : null;
  if (commaBefore !== null) return spliced(rest, commaBefore, commaBefore + 1, '');
  return (
    rest.slice(0, from) +
    rest.slice(from).replace(/^\s+(?=[}\]])/, text[from - 1] === '{' || text[from - 1] === '[' ? '' : '$&')
  );
}

const isOnOneLine = (text: string, node: Node | undefined): boolean =>
  node !== undefined && !text.slice(node.offset, end(node)).includes('\n');

/** Blanks and comments may stand before it; null: there is none. */
function commaBehind(text: string, at: number): number | null {
  const [trivia = ''] = /^(\s|\/\/[^\n]*|\/\*[^]*?\*\/)*/.exec(text.slice(at)) ?? [];
  return text[at + trivia.length] === ',' ? at + trivia.length : null;
}

/** Behind a comment that ends the line; `at` where there is none. */
function endOfLine(text: string, at: number): number {
  const [comment = ''] = /^[ \t]*(\/\*[^\n]*?\*\/[ \t]*)*(\/\/[^\r\n]*)?(?=\r?\n|$)/.exec(text.slice(at)) ?? [];
  return at + comment.trimEnd().length;
}

const lineBefore = (text: string, at: number): string => text.slice(text.lastIndexOf('\n', at - 1) + 1, at);
const beginsLine = (text: string, at: number): boolean => lineBefore(text, at).trim() === '';
const indentAt = (text: string, at: number): string => /^[ \t]*/.exec(lineBefore(text, at))?.[0] ?? '';

function inLines(text: string, value: unknown, indent: string): string {
  const { unit, eol } = styleOf(text);
  return JSON.stringify(value, null, unit).replaceAll('\n', eol + indent);
}

/** As the file is written already. */
const styleOf = (text: string): { readonly unit: string; readonly eol: string } => ({
  unit: /^([ \t]+)\S/m.exec(text)?.[1] ?? '  ',
  eol: text.includes('\r\n') ? '\r\n' : '\n',
});
