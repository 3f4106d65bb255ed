/** How values are written. */
export interface Notation {
  /** A property's name as a key. */
  readonly keyOf: (name: string) => string;
  /** A value as a text. */
  readonly written: (value: unknown) => string;
  /** The order of properties in an object. */
  readonly inOrder: (one: Property, other: Property) => number;
  /** Whether a text's length can be limited. */
  readonly hasLengths: boolean;
  /** `space`, `key`, `pair`, `string` with its `char`, `value` and the other types, in llama.cpp's form (GBNF). */
  readonly rules: readonly string[];
}

interface Property {
  readonly name: string;
  readonly isNeeded: boolean;
}

const types: readonly string[] = [
  'integer ::= "-"? ("0" | [1-9] [0-9]{0,15})',
  'number ::= integer ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?',
  'boolean ::= "true" | "false"',
  'null ::= "null"',
  'value ::= object | array | string | number | boolean | null',
  'pair ::= key space ":" space value',
  'object ::= "{" space (pair ("," space pair)*)? space "}"',
  'array ::= "[" space (value ("," space value)*)? space "]"',
];

/** Properties that must be there come first, so that those that may be left out stand behind them. */
export const json: Notation = {
  keyOf: (name) => JSON.stringify(name),
  written: (value) => JSON.stringify(value) ?? 'null',
  inOrder: (one, other) => Number(other.isNeeded) - Number(one.isNeeded),
  hasLengths: true,
  rules: [
    'space ::= | " " | "\\n" [ \\t]{0,20}',
    String.raw`char ::= [^"\\\x7F\x00-\x1F] | [\\] (["\\bfnrt/] | "u" [0-9a-fA-F]{4})`,
    String.raw`string ::= "\"" char* "\""`,
    'key ::= string',
    ...types,
  ],
};

/** As Gemma writes values: texts between marks, with nothing escaped, and keys as they are, in the order of the alphabet. */
export const marked = (mark: string): Notation => ({
  keyOf: (name) => (/^[\w.-]{1,128}$/.test(name) ? name : `${mark}${name}${mark}`),
  written: (value) => writtenBetween(mark, value),
  inOrder: (one, other) => (one.name < other.name ? -1 : 1),
  hasLengths: false,
  rules: ['space ::= " "?', ...textUpTo(mark), 'key ::= [a-zA-Z0-9_.-]{1,128} | string', ...types],
});

function writtenBetween(mark: string, value: unknown): string {
  if (typeof value === 'string') return `${mark}${value}${mark}`;
  if (Array.isArray(value)) return `[${value.map((each) => writtenBetween(mark, each)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const { keyOf } = marked(mark);
  const pairs = Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return `{${pairs.map(([name, each]) => `${keyOf(name)}:${writtenBetween(mark, each)}`).join(',')}}`;
}

/** Rules for a text that ends with the first mark in it: one for each number of the mark's characters that may have been read. */
function textUpTo(mark: string): string[] {
  const characters = [...new Set(mark)];
  const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
  const others = `[^${characters.map((one) => one.replaceAll(/[\]\\^-]/g, String.raw`\$&`)).join('')}]`;
  const rules = Array.from(mark, (_, read) => {
    const steps = characters.map((next) => {
      const length = readAfter(mark, mark.slice(0, read) + next);
      return length === mark.length ? quoted(next) : `${quoted(next)} text${length}`;
    });
    return `text${read} ::= ${others} text0 | ${steps.join(' | ')}`;
  });
  return [...rules, `string ::= ${quoted(mark)} text0`];
}

/** How many characters at the end of the text begin the mark. */
function readAfter(mark: string, text: string): number {
  let length = Math.min(mark.length, text.length);
  while (!text.endsWith(mark.slice(0, length))) length--;
  return length;
}
