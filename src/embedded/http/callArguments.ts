import type { JsonRule, TextRule } from '../worker/grammar.ts';

type Schemas = ReadonlyMap<string, object>;

/** As far as the beginning of a call reaches back. */
const lookedAt = 400;

/**
 * Finds the places in an answer at which the arguments of a call begin: there, their tool's schema decides on what follows, although the model was
 * free to call nothing. Gemma's marks open calls and nothing else, so that behind one the tool's name is decided on, too. Calls in Python stay free.
 */
export class CallArguments {
  readonly #schemas: Schemas;
  #text = '';
  #rule: TextRule | null = null;
  #followed = '';

  /** @param tools as a request has them; what is no function with a schema is left out. */
  constructor(tools: readonly unknown[]) {
    this.#schemas = new Map(tools.flatMap(schemaOfTool));
  }

  /** What the next token must follow; null: nothing. Another object is another place. */
  get rule(): TextRule | null {
    return this.#rule;
  }

  /** @param piece the text of the token that came. */
  push(piece: string): void {
    if (this.#rule) {
      this.#followed += piece;
      if (isWhole(this.#followed, this.#rule)) this.#rule = null;
    }
    this.#text = (this.#text + piece).slice(-lookedAt);
    if (this.#rule || piece === '') return;
    this.#rule = ruleBehind(this.#text, this.#schemas);
    this.#followed = '';
  }
}

/** A call in JSON up to its arguments: the key's end may be a part of the next token. */
const inJson = /"name"\s*:\s*"([^"\\]{1,64})"\s*,\s*"(?:arguments|parameters)("?)(\s*:)?\s*$/;
const mistral = /\[TOOL_CALLS\]\s*([\w.-]{1,64})(?:\[CALL_ID\][^[{]{0,64})?\[ARGS\]\s*$/;
const harmony = /\bto=(?:functions\.)?([\w.-]{1,64})(?:(?!<\|(?:message|end|call|start)\|>)[\s\S])*<\|message\|>$/;

/** What opens a call in Gemma's form, and what stands around its texts: of Gemma 4, and of FunctionGemma. */
const gemmaMarks: readonly (readonly [string, string])[] = [
  ['<|tool_call>', '<|"|>'],
  ['<start_function_call>', '<escape>'],
];

function ruleBehind(text: string, schemas: Schemas): TextRule | null {
  const [, mark] = gemmaMarks.find(([opener]) => text.endsWith(opener)) ?? [];
  if (mark !== undefined && schemas.size > 0) return { calls: schemas, mark };
  const json = inJson.exec(text);
  const [, name = ''] = json ?? mistral.exec(text) ?? harmony.exec(text) ?? [];
  const schema = schemas.get(name);
  if (!schema) return null;
  if (!json) return { schema, lead: '' };
  const [, , quote, colon] = json;
  // Tokens like `"}}` end both: a model that may write only the first brace can forget the second one.
  return { schema, lead: colon !== undefined ? '' : quote === '"' ? ':' : '":', closes: true };
}

function schemaOfTool(tool: unknown): [string, object][] {
  const { function: called } = fieldsOf(tool);
  const { name, parameters } = fieldsOf(called);
  return typeof name === 'string' && typeof parameters === 'object' && parameters !== null ? [[name, parameters]] : [];
}

/** @param text what came since the rule was made. */
function isWhole(text: string, rule: TextRule): boolean {
  return 'calls' in rule ? isWholeCall(text, rule.mark) : isWholeJson(text, rule);
}

function isWholeCall(text: string, mark: string): boolean {
  const parts = text.split(mark);
  const outside = parts.filter((_, at) => at % 2 === 0).join('');
  const [opened, closed] = [/[{[]/g, /[}\]]/g].map((each) => outside.match(each)?.length ?? 0);
  return parts.length % 2 === 1 && opened !== 0 && opened === closed;
}

function isWholeJson(text: string, { lead = '', closes = false }: JsonRule): boolean {
  if (!/[}\]"\w]\s*$/.test(text)) return false;
  try {
    // Together with the part of the object that came before.
    JSON.parse(closes ? `${begun.slice(0, begun.length - lead.length)}${text}` : text);
    return true;
  } catch {
    return false;
  }
}

const begun = '{"arguments":';

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
