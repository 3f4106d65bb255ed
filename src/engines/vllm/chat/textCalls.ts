import type { ToolCall } from '../../../protocol/schemas/toolCall.ts';

/** What opens tool calls in the text of a family of models; the calls are all that follows. */
const openers = ['<tool_call>', '[TOOL_CALLS]', '<|python_tag|>'] as const;

/**
 * Tells tool calls from the answer in text that comes piece by piece, where the server leaves them in it: `<tool_call>` (Qwen, Hermes),
 * `[TOOL_CALLS]` (Mistral), and an answer that is nothing but JSON with a name and arguments (Llama 3).
 */
export class TextCalls {
  readonly #offered: ReadonlySet<string>;
  #text = '';
  /** Characters that were passed on. */
  #told = 0;

  /** @param offered names of the tools: JSON of another name is an answer. */
  constructor(offered: Iterable<string>) {
    this.#offered = new Set(offered);
  }

  /** @returns the text of the answer that this piece completes. */
  push(piece: string): string {
    this.#text += piece;
    return this.#tell(this.#certain());
  }

  /** When nothing follows. What opens like a call and is none stays in the text. */
  end(): { readonly rest: string; readonly calls: readonly ToolCall[] } {
    const at = this.#opening();
    const calls = at === null ? [] : callsIn(this.#text.slice(at), this.#offered);
    if (calls.length > 0) return { rest: this.#tell(Math.max(at ?? 0, this.#told)), calls };
    return { rest: this.#tell(this.#text.length), calls };
  }

  /** The text of the answer that was passed on. */
  get told(): string {
    return this.#text.slice(0, this.#told);
  }

  #tell(until: number): string {
    const told = this.#text.slice(this.#told, until);
    this.#told = Math.max(this.#told, until);
    return told;
  }

  /** Up to where the text is no call, whatever comes. */
  #certain(): number {
    const at = this.#opening();
    if (at !== null) return Math.max(at, this.#told);
    const started = openers.map((opener) => startedLength(this.#text, opener));
    return this.#text.length - Math.max(...started);
  }

  /** Where calls begin; null where none do so far. */
  #opening(): number | null {
    const found = openers.map((opener) => this.#text.indexOf(opener)).filter((at) => at >= 0);
    if (found.length > 0) return Math.min(...found);
    return /^\s*(?:```(?:json)?\s*)?[{[]/.test(this.#text) ? 0 : null;
  }
}

function callsIn(text: string, offered: ReadonlySet<string>): ToolCall[] {
  const calls: ToolCall[] = [];
  for (let at = text.search(/[{[]/); at >= 0;) {
    const end = endOfJson(text, at);
    const parsed = end === null ? undefined : parse(text.slice(at, end));
    for (const each of Array.isArray(parsed) ? parsed : [parsed]) {
      const call = callOf(each);
      if (call && offered.has(call.name)) calls.push({ id: `text-${calls.length + 1}`, ...call });
    }
    const from = end !== null && parsed !== undefined ? end : at + 1;
    const next = text.slice(from).search(/[{[]/);
    at = next < 0 ? -1 : from + next;
  }
  return calls;
}

function callOf(value: unknown): Omit<ToolCall, 'id'> | null {
  if (typeof value !== 'object' || value === null) return null;
  const { name, arguments: given, parameters } = value as Readonly<Record<string, unknown>>;
  if (typeof name !== 'string') return null;
  const said = given ?? parameters ?? {};
  return { name, arguments: typeof said === 'string' ? said : JSON.stringify(said) };
}

/** Behind the JSON that begins here; null where it does not end. */
function endOfJson(text: string, start: number): number | null {
  let depth = 0;
  let isString = false;
  for (let at = start; at < text.length; at++) {
    const character = text[at];
    if (isString) {
      if (character === '\\') at++;
      else if (character === '"') isString = false;
    } else if (character === '"') isString = true;
    else if (character === '{' || character === '[') depth++;
    else if ((character === '}' || character === ']') && --depth === 0) return at + 1;
  }
  return null;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** How many characters at the end of the text may be the beginning of the mark. */
function startedLength(text: string, mark: string): number {
  let length = Math.min(text.length, mark.length - 1);
  while (!text.endsWith(mark.slice(0, length))) length--;
  return length;
}
