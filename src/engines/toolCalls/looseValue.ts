/** What a text holds that is written as Gemma, or Python, writes values. */
interface Read {
  readonly value: unknown;
  /** Behind it. */
  readonly end: number;
}

/** Marks around a string: those of Gemma's templates have a token of their own. */
const stringMarks = ['<|"|>', '<escape>', '"', "'"] as const;
const words: Readonly<Record<string, unknown>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  null: null,
  None: null,
};

/** A part that is not there yet, or that is none. */
class NoValue extends Error {}

/**
 * Named values between two marks, as `{path:<|"|>a<|"|>,lines:3}` or `(path="a", lines=3)`.
 *
 * @param at of the opening mark.
 * @returns null where the text holds none, or ends before the closing mark.
 */
export function readNamedValues(text: string, at: number, close: '}' | ')'): Read | null {
  try {
    return namedValues(text, at, close);
  } catch (error) {
    if (error instanceof NoValue) return null;
    throw error;
  }
}

function namedValues(text: string, at: number, close: '}' | ')'): Read {
  const entries: [string, unknown][] = [];
  let place = skipSpace(text, at + 1);
  while (text[place] !== close) {
    const key = readKey(text, place);
    place = skipSpace(text, key.end);
    if (text[place] !== ':' && text[place] !== '=') throw new NoValue();
    const { value, end } = readValue(text, skipSpace(text, place + 1));
    entries.push([key.value, value]);
    place = behindComma(text, end, close);
  }
  return { value: Object.fromEntries(entries), end: place + 1 };
}

function readKey(text: string, at: number): { readonly value: string; readonly end: number } {
  const quoted = readString(text, at);
  if (quoted) return quoted;
  const [name = ''] = /^[\w.-]+/.exec(text.slice(at, at + 128)) ?? [];
  if (name === '') throw new NoValue();
  return { value: name, end: at + name.length };
}

function readValue(text: string, at: number): Read {
  const string = readString(text, at);
  if (string) return string;
  if (text[at] === '{') return namedValues(text, at, '}');
  if (text[at] === '[') return readList(text, at);
  const [word = ''] = /^[\w.+-]+/.exec(text.slice(at, at + 64)) ?? [];
  const end = at + word.length;
  if (Object.hasOwn(words, word)) return { value: words[word], end };
  // At the end of the text, more digits may follow.
  if (word === '' || end === text.length || !Number.isFinite(Number(word))) throw new NoValue();
  return { value: Number(word), end };
}

function readList(text: string, at: number): Read {
  const items: unknown[] = [];
  let place = skipSpace(text, at + 1);
  while (text[place] !== ']') {
    const { value, end } = readValue(text, place);
    items.push(value);
    place = behindComma(text, end, ']');
  }
  return { value: items, end: place + 1 };
}

function readString(text: string, at: number): { readonly value: string; readonly end: number } | null {
  const mark = stringMarks.find((each) => text.startsWith(each, at));
  if (mark === undefined) return null;
  // Only the marks of programming languages can stand in a string, behind a backslash.
  const escapes = mark.length === 1;
  let value = '';
  for (let place = at + mark.length; place < text.length; place++) {
    if (text.startsWith(mark, place)) return { value, end: place + mark.length };
    if (escapes && text[place] === '\\') value += unescaped(text[++place] ?? '');
    else value += text[place];
  }
  throw new NoValue();
}

const unescaped = (character: string): string => ({ n: '\n', t: '\t', r: '\r' })[character] ?? character;

function behindComma(text: string, at: number, close: string): number {
  const place = skipSpace(text, at);
  if (text[place] === close) return place;
  if (text[place] !== ',') throw new NoValue();
  return skipSpace(text, place + 1);
}

function skipSpace(text: string, at: number): number {
  let place = at;
  while (place < text.length && /\s/.test(text[place] ?? '')) place++;
  return place;
}
