import type { TextRule } from '../worker/jsonGrammar.ts';

type Schemas = ReadonlyMap<string, object>;

/** As far as the beginning of a call reaches back. */
const lookedAt = 400;

/**
 * Finds the places in an answer at which the arguments of a call begin, where a family of models writes them as JSON: there, their tool's
 * schema decides on what follows, although the model was free to call nothing. Gemma and Python are no JSON, and stay free.
 */
export class CallArguments {
  readonly #schemas: Schemas;
  #text = '';
  #rule: TextRule | null = null;
  #json = '';

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
      this.#json += piece;
      if (isWhole(this.#json, this.#rule)) this.#rule = null;
    }
    this.#text = (this.#text + piece).slice(-lookedAt);
    if (this.#rule || piece === '') return;
    this.#rule = ruleBehind(this.#text, this.#schemas);
    this.#json = '';
  }
}

/** A call in JSON up to its arguments: the key's end may be a part of the next token. */
const inJson = /"name"\s*:\s*"([^"\\]{1,64})"\s*,\s*"(?:arguments|parameters)("?)(\s*:)?\s*$/;
const mistral = /\[TOOL_CALLS\]\s*([\w.-]{1,64})(?:\[CALL_ID\][^[{]{0,64})?\[ARGS\]\s*$/;
const harmony = /\bto=(?:functions\.)?([\w.-]{1,64})(?:(?!<\|(?:message|end|call|start)\|>)[\s\S])*<\|message\|>$/;

function ruleBehind(text: string, schemas: Schemas): TextRule | null {
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
function isWhole(text: string, { lead = '', closes = false }: TextRule): boolean {
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
