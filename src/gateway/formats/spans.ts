/** Where a value stands in a text, without blanks around it. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * Where the values of an object of JSON stand, by their keys; of a key that is there twice, the last one counts. Null for what is no object.
 *
 * @param text must be JSON that can be parsed.
 */
export function fieldsIn(text: string, at = 0): ReadonlyMap<string, Span> | null {
  if (text[blanks(text, at)] !== '{') return null;
  return new Map(membersIn(text, at).map(({ key, value, end }) => [key, { start: value, end }]));
}

/** Where the elements of a list of JSON stand. Null for what is no list. */
export function elementsIn(text: string, at = 0): readonly Span[] | null {
  let here = blanks(text, at);
  if (text[here] !== '[') return null;
  const found: Span[] = [];
  here = blanks(text, here + 1);
  while (text[here] !== ']' && here < text.length) {
    const end = endOfValue(text, here);
    found.push({ start: here, end });
    here = next(text, end);
  }
  return found;
}

/** The text with other values in these places, which must be in order. */
export function spliced(text: string, changes: readonly (Span & { readonly by: string })[]): string {
  let made = '';
  let from = 0;
  for (const { start, end, by } of changes) {
    made += text.slice(from, start) + by;
    from = end;
  }
  return made + text.slice(from);
}

function next(text: string, end: number): number {
  const here = blanks(text, end);
  return text[here] === ',' ? blanks(text, here + 1) : here;
}

function blanks(text: string, at: number): number {
  let here = at;
  while (here < text.length && text.charCodeAt(here) <= 32) here++;
  return here;
}

function endOfString(text: string, at: number): number {
  for (let here = text.indexOf('"', at + 1); here !== -1; here = text.indexOf('"', here + 1)) {
    let before = here - 1;
    while (text[before] === '\\') before--;
    if ((here - before) % 2 === 1) return here + 1;
  }
  return text.length;
}

/** Walks over the marks of lists and objects only: a text inside is skipped at once. */
function endOfValue(text: string, at: number): number {
  if (text[at] === '"') return endOfString(text, at);
  let depth = 0;
  for (let here = at; here < text.length; here++) {
    const mark = text.charCodeAt(here);
    if (mark === 34) here = endOfString(text, here) - 1;
    else if (mark === 123 || mark === 91) depth++;
    else if (mark === 125 || mark === 93) {
      if (depth <= 1) return depth === 0 ? here : here + 1;
      depth--;
    } else if (depth === 0 && (mark === 44 || mark <= 32)) return here;
  }
  return text.length;
}

/**
 * Puts fields into a JSON object without spelling the rest again: the bytes that the client wrote stay as they are.
 *
 * @param text a JSON object.
 */
export function withFields(text: string, fields: Readonly<Record<string, unknown>>): string {
  const added = JSON.stringify(fields).slice(1, -1);
  if (added === '') return text;
  const open = text.indexOf('{');
  const rest = text.slice(open + 1);
  return `{${added}${/^\s*\}/.test(rest) ? '' : ','}${rest}`;
}

/** The object without some of its fields, and with others at its beginning. The rest is spelled as it was. */
export function changedFields(text: string, left: readonly string[], put: Readonly<Record<string, unknown>>): string {
  const gone = new Set([...left, ...Object.keys(put)]);
  const kept = membersIn(text).filter(({ key }) => !gone.has(key));
  const members = kept.map(({ start, end }) => text.slice(start, end));
  const added = JSON.stringify(put).slice(1, -1);
  return `{${[...(added === '' ? [] : [added]), ...members].join(',')}}`;
}

/** The object with these fields, in the place of its own ones. The rest is spelled as it was. */
export const overFields = (
  { text, body }: { readonly text: string; readonly body: object },
  fields: Readonly<Record<string, unknown>>,
): string =>
  Object.keys(fields).some((key) => key in body) ? changedFields(text, [], fields) : withFields(text, fields);

/** The members of an object, also those whose key comes again. */
function membersIn(text: string, at = 0): readonly (Span & { readonly key: string; readonly value: number })[] {
  const members: (Span & { readonly key: string; readonly value: number })[] = [];
  let here = blanks(text, at);
  if (text[here] !== '{') return members;
  here = blanks(text, here + 1);
  while (text[here] !== '}' && here < text.length) {
    const keyEnd = endOfString(text, here);
    const value = blanks(text, blanks(text, keyEnd) + 1);
    const end = endOfValue(text, value);
    members.push({ key: JSON.parse(text.slice(here, keyEnd)) as string, value, start: here, end });
    here = next(text, end);
  }
  return members;
}
