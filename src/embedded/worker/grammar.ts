import { json, marked, type Notation } from './notation.ts';

/** A text that the next tokens must be. */
export type TextRule = JsonRule | CallRule;

export interface JsonRule {
  /** JSON schema of it. */
  readonly schema: object;
  /** Characters of JSON before it, white space between them left out: `":` in the middle of a key. Default: it begins at once. */
  readonly lead?: string;
  /** It is the last value of an object that began before, whose end follows it. Default: nothing follows. */
  readonly closes?: boolean;
}

/** A call as Gemma writes it, from `call:` up to the end of the arguments: `call:read_file{path:<|"|>a<|"|>}`. */
export interface CallRule {
  /** JSON schemas of the arguments, by the tools' names. */
  readonly calls: ReadonlyMap<string, object>;
  /** Stands before and behind each text. */
  readonly mark: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** More repetitions than this cost llama.cpp more than they are worth: longer texts and lists have no upper limit. */
const mostRepetitions = 256;
/** Deeper than any schema of a tool that does not refer to itself. */
const mostDepth = 32;

/**
 * A grammar of llama.cpp (GBNF) for texts that follow the rule's schema. What a grammar cannot express is any value, so that it forbids little that
 * the schema allows: only another order of the properties, and others than the named ones unless the schema speaks of them.
 */
export function grammarOf(rule: TextRule): string {
  if ('calls' in rule) return callGrammar(rule);
  const { schema, lead, closes = false } = rule;
  const grammar = new Grammar(schema as Fields, json);
  const before = lead === undefined ? [] : [...Array.from(lead, literal).flatMap((each) => ['space', each]), 'space'];
  const behind = closes ? ['("," space pair)*', 'space "}"'] : [];
  const root = [...before, grammar.expression(schema, 0), ...behind].join(' ');
  return [`root ::= ${root}`, ...grammar.rules, ...json.rules].join('\n');
}

function callGrammar({ calls, mark }: CallRule): string {
  const notation = marked(mark);
  const rules: string[] = [];
  const called = [...calls].map(([name, schema], at) => {
    const grammar = new Grammar({ type: 'object', ...schema }, notation, `tool${at}`);
    const given = grammar.expression({ type: 'object', ...schema }, 0);
    rules.push(...grammar.rules);
    return `${literal(name)} ${given}`;
  });
  return [`root ::= "call:" ${choice(called)}`, ...rules, ...notation.rules].join('\n');
}

class Grammar {
  readonly rules: string[] = [];
  readonly #root: Fields;
  readonly #notation: Notation;
  readonly #prefix: string;
  readonly #names = new Map<string, string>();
  /** The reference that is being read, with no character before what is read now; null: there is one. */
  #leading: string | null = null;
  /** References that may stand at the beginning of another one, by that one: llama.cpp refuses a rule that begins with itself. */
  readonly #beginnings = new Map<string, Set<string>>();

  /** @param prefix of its rules' names, where other grammars stand beside it. */
  constructor(root: Fields, notation: Notation, prefix = '') {
    this.#root = root;
    this.#notation = notation;
    this.#prefix = prefix;
  }

  /** What stands on the right side of a rule; in brackets where it has choices. */
  expression(schema: unknown, depth: number): string {
    if (typeof schema !== 'object' || schema === null || depth > mostDepth) return 'value';
    const fields = schema as Fields;
    const inner = (each: unknown): string => this.expression(each, depth + 1);
    if (typeof fields['$ref'] === 'string') return this.#referred(fields['$ref'], depth);
    if ('const' in fields) return literal(this.#notation.written(fields['const']));
    const { enum: values, allOf } = fields;
    if (Array.isArray(values) && values.length > 0)
      return choice(values.map((value) => literal(this.#notation.written(value))));
    const choices = fields['oneOf'] ?? fields['anyOf'];
    if (Array.isArray(choices) && choices.length > 0) return choice(choices.map(inner));
    if (Array.isArray(allOf) && allOf.length === 1) return inner(allOf[0]);
    const type = fields['type'] ?? (fields['properties'] === undefined ? undefined : 'object');
    if (Array.isArray(type) && type.length > 0) return choice(type.map((one) => inner({ ...fields, type: one })));
    switch (type) {
      case 'object':
        return this.#behindBracket(() => this.#object(fields, inner));
      case 'array':
        return list(
          fields['items'] === undefined ? 'value' : this.#behindBracket(() => inner(fields['items'])),
          fields,
        );
      case 'string':
        return this.#notation.hasLengths ? string(fields) : 'string';
      default:
        return typeof type === 'string' && ruledTypes.has(type) ? type : 'value';
    }
  }

  #object({ properties, required, additionalProperties: others }: Fields, inner: (schema: unknown) => string): string {
    const other = typeof others === 'object' && others !== null ? inner(others) : others === false ? null : 'value';
    const { keyOf, inOrder } = this.#notation;
    const named = Object.entries((properties ?? {}) as Fields).map(([name, schema]) => ({
      name,
      pair: `${literal(keyOf(name))} space ":" space ${inner(schema)}`,
      isNeeded: Array.isArray(required) && required.includes(name),
    }));
    // Where a schema names properties and does not speak of others, a model that must write it would invent some.
    const more = other !== null && (named.length === 0 || others !== undefined) ? `key space ":" space ${other}` : null;
    const ordered = named.toSorted(inOrder);
    const behind = (from: number): string =>
      [
        ...ordered.slice(from).map(({ pair, isNeeded }) => `("," space ${pair})${isNeeded ? '' : '?'}`),
        ...(more === null ? [] : [`("," space ${more})*`]),
      ].join(' ');
    const needed = ordered.findIndex(({ isNeeded }) => isNeeded);
    const starts = ordered
      .slice(0, needed < 0 ? undefined : needed + 1)
      .map(({ pair }, at) => `${pair} ${behind(at + 1)}`);
    if (needed < 0 && more !== null) starts.push(`${more} ${behind(ordered.length)}`);
    const pairs = starts.length === 0 ? '' : `(${starts.join(' | ')})${needed < 0 ? '?' : ''}`;
    return this.#rule(`"{" space ${pairs} space "}"`);
  }

  #behindBracket(read: () => string): string {
    const before = this.#leading;
    this.#leading = null;
    const expression = read();
    this.#leading = before;
    return expression;
  }

  /** What `#/$defs/NAME` stands for: a rule, which may name itself, but not begin with itself, neither through others. */
  #referred(path: string, depth: number): string {
    const outer = this.#leading;
    if (outer !== null) {
      if (this.#mayBegin(path, outer)) return 'value';
      this.#beginnings.set(outer, (this.#beginnings.get(outer) ?? new Set()).add(path));
    }
    const known = this.#names.get(path);
    if (known !== undefined) return known;
    if (!path.startsWith('#')) return 'value';
    const steps = path.split('/').slice(1);
    const found = steps.reduce<unknown>(
      (at, step) => (at as Fields | undefined)?.[step.replaceAll('~1', '/').replaceAll('~0', '~')],
      this.#root,
    );
    const name = `${this.#prefix}ref${this.#names.size}`;
    this.#names.set(path, name);
    this.#leading = path;
    this.rules.push(`${name} ::= ${this.expression(found, depth + 1)}`);
    this.#leading = outer;
    return name;
  }

  /** Whether a text of the reference may begin with one of the other. */
  #mayBegin(path: string, other: string): boolean {
    return path === other || [...(this.#beginnings.get(path) ?? [])].some((begins) => this.#mayBegin(begins, other));
  }

  #rule(body: string): string {
    const name = `${this.#prefix}rule${this.rules.length}`;
    this.rules.push(`${name} ::= ${body}`);
    return name;
  }
}

/** Types whose name is a rule. */
const ruledTypes: ReadonlySet<string> = new Set(['number', 'integer', 'boolean', 'null']);

const choice = (expressions: readonly string[]): string => `(${[...new Set(expressions)].join(' | ')})`;

function string(fields: Fields): string {
  const [least, most] = limits(fields, 'Length');
  return least === 0 && most === null ? 'string' : `"\\"" char${times(least, most)} "\\""`;
}

function list(item: string, fields: Fields): string {
  const [least, most] = limits(fields, 'Items');
  if (most === 0) return '"[" space "]"';
  const items = `${item} ("," space ${item})${times(Math.max(0, least - 1), most === null ? null : most - 1)}`;
  return `"[" space ${least === 0 ? `(${items})?` : items} space "]"`;
}

const times = (least: number, most: number | null): string => `{${least},${most ?? ''}}`;

/** Least and most; null: no limit. */
function limits(fields: Fields, of: 'Items' | 'Length'): [number, number | null] {
  const limit = (name: string): number | null => {
    const given = fields[name];
    return typeof given === 'number' && Number.isInteger(given) && given >= 0 ? given : null;
  };
  const most = limit(`max${of}`);
  const least = Math.min(limit(`min${of}`) ?? 0, mostRepetitions);
  return [least, most === null || most > mostRepetitions || most < least ? null : most];
}

const escapes: Readonly<Record<string, string>> = { '\n': String.raw`\n`, '\r': String.raw`\r`, '\t': String.raw`\t` };

/** A text as it is. */
const literal = (text: string): string =>
  `"${text.replaceAll(/["\\\p{Cc}]/gu, (character) => {
    if (character === '"' || character === '\\') return `\\${character}`;
    return escapes[character] ?? `\\x${(character.codePointAt(0) ?? 0).toString(16).padStart(2, '0')}`;
  })}"`;
