import { readNamedValues } from './looseValue.ts';

/** A call as the model wrote it: the arguments are JSON, or what should have been. */
export interface WrittenCall {
  readonly name: string;
  readonly arguments: string;
}

/** Calls at the beginning of a text, and how long the text is that they stand in. */
export interface Taken {
  readonly calls: readonly WrittenCall[];
  readonly length: number;
}

/**
 * How a family of models writes calls.
 *
 * `take` reads the text behind the opener: `more` while it can become a call, null where it is none. Where nothing follows (`isEnd`), half a
 * call is one whose arguments are what there is of it: the model is told that they are no JSON.
 */
export interface CallForm {
  readonly opener: string;
  readonly take: (rest: string, isEnd: boolean) => Taken | 'more' | null;
}

/** `<tool_call>{"name": …, "arguments": {…}}</tool_call>` (Qwen, Hermes). */
const hermes: CallForm = { opener: '<tool_call>', take: (rest, isEnd) => jsonCalls(rest, '</tool_call>', isEnd) };

/** `<|python_tag|>{"name": …, "parameters": {…}}` (Llama 3). */
const llama: CallForm = { opener: '<|python_tag|>', take: (rest, isEnd) => jsonCalls(rest, '', isEnd) };

/** `[TOOL_CALLS][{…}, {…}]`, and since 2025 `[TOOL_CALLS]name[ARGS]{…}` for each call (Mistral). */
const mistral: CallForm = {
  opener: '[TOOL_CALLS]',
  take: (rest, isEnd) => {
    if (/^\s*\[\s*[{\]]/.test(rest)) return jsonCalls(rest, '', isEnd);
    const head = /^\s*([\w.-]{1,64})(?:\[CALL_ID\][^[{]{0,64})?(?:\[ARGS\])?\s*(?=\{)/.exec(rest);
    if (!head) return isEnd || !/^\s*(?:\[\s*|[\w.-]{0,64}(?:\[[\s\S]{0,80})?\s*)$/.test(rest) ? null : 'more';
    return argumentsAt(rest, head[0].length, head[1] ?? '', isEnd);
  },
};

/** `<|tool_call>call:name{path:<|"|>a<|"|>}<tool_call|>` (Gemma 4). */
const gemma: CallForm = gemmaForm('<|tool_call>', '<tool_call|>', '<|tool_response>');
/** The same with other marks (FunctionGemma). */
const functionGemma: CallForm = gemmaForm('<start_function_call>', '<end_function_call>', '<start_function_response>');

/** Python in a block of its own, as Gemma 3 was taught: ```` ```tool_code ````. */
const toolCode: CallForm = {
  opener: '```tool_code',
  take: (rest, isEnd) => {
    const end = rest.indexOf('```');
    if (end < 0 && !isEnd) return 'more';
    const calls = pythonCalls(end < 0 ? rest : rest.slice(0, end));
    return calls.length === 0 ? null : { calls, length: end < 0 ? rest.length : end + 3 };
  },
};

/** Forms whose opener no other text has. */
export const callForms: readonly CallForm[] = [hermes, llama, mistral, gemma, functionGemma, toolCode];

/** An answer that is nothing but JSON, maybe in a block, or a list of calls in Python (Llama 3). */
export const bareForm: CallForm = {
  opener: '',
  take: (rest, isEnd) => {
    if (/^\s*\[\s*[a-zA-Z_][\w.-]*\s*\(/.test(rest)) {
      const calls = /\]\s*$/.test(rest) ? pythonCalls(rest) : [];
      if (calls.length > 0) return { calls, length: rest.length };
      return isEnd ? null : 'more';
    }
    const fence = /^\s*```(?:json)?\s*/.exec(rest)?.[0] ?? '';
    const taken = jsonCalls(rest.slice(fence.length), fence === '' ? '' : '```', isEnd);
    return taken === null || taken === 'more' ? taken : { ...taken, length: taken.length + fence.length };
  },
};

/** Whether a text can be an answer in {@link bareForm}; null while too little of it is there. */
export function looksBare(text: string): boolean | null {
  const start = text.trimStart();
  if (/^(?:```(?:json)?\s*)?[{[]/.test(start)) return true;
  return /^(?:`{0,3}|```(?:j|js|jso|json)\s*)$/.test(start) ? null : false;
}

/** @param waits what the model writes behind its last call, where the results would follow. */
function gemmaForm(opener: string, close: string, waits: string): CallForm {
  return {
    opener,
    take: (rest, isEnd) => {
      const [head, name = ''] = /^\s*call:([\w.-]{1,64})\s*(?=\{)/.exec(rest) ?? [];
      if (head === undefined)
        return !isEnd && 'call:'.startsWith(rest.trim().slice(0, 5)) && rest.length < 80 ? 'more' : null;
      const read = readNamedValues(rest, head.length, '}');
      if (!read) return isEnd ? { calls: [{ name, arguments: rest.slice(head.length) }], length: rest.length } : 'more';
      const call = { calls: [{ name, arguments: JSON.stringify(read.value) }], length: read.end };
      const taken = closed(call, rest, close, isEnd);
      return taken === 'more' ? taken : closed(taken, rest, waits, isEnd);
    },
  };
}

function jsonCalls(rest: string, close: string, isEnd: boolean): Taken | 'more' | null {
  const start = rest.search(/\S/);
  if (start < 0) return isEnd ? null : 'more';
  if (rest[start] !== '{' && rest[start] !== '[') return null;
  const end = endOfJson(rest, start);
  if (end === null) {
    if (!isEnd) return 'more';
    const [, name] = /"name"\s*:\s*"([^"\\]{1,64})"/.exec(rest) ?? [];
    return name === undefined ? null : { calls: [{ name, arguments: rest.slice(start) }], length: rest.length };
  }
  const parsed = parse(rest.slice(start, end));
  const calls = (Array.isArray(parsed) ? parsed : [parsed]).map(callOf);
  if (calls.length === 0 || calls.includes(null)) return null;
  return closed({ calls: calls as WrittenCall[], length: end }, rest, close, isEnd);
}

/** Arguments in JSON from here on. */
function argumentsAt(rest: string, at: number, name: string, isEnd: boolean): Taken | 'more' {
  const end = endOfJson(rest, at);
  if (end !== null) return { calls: [{ name, arguments: rest.slice(at, end) }], length: end };
  return isEnd ? { calls: [{ name, arguments: rest.slice(at) }], length: rest.length } : 'more';
}

/** With the closing mark, where it follows. */
function closed(taken: Taken, rest: string, close: string, isEnd: boolean): Taken | 'more' {
  const behind = rest.slice(taken.length);
  const space = behind.length - behind.trimStart().length;
  if (close !== '' && behind.startsWith(close, space)) return { ...taken, length: taken.length + space + close.length };
  return !isEnd && close.startsWith(behind.slice(space)) && behind.slice(space) !== close ? 'more' : taken;
}

function pythonCalls(text: string): WrittenCall[] {
  const calls: WrittenCall[] = [];
  for (let at = 0; at < text.length;) {
    const match = /([a-zA-Z_][\w.-]{0,63})\s*\(/g;
    match.lastIndex = at;
    const found = match.exec(text);
    const read = found && readNamedValues(text, match.lastIndex - 1, ')');
    if (!read) break;
    calls.push({ name: found[1] ?? '', arguments: JSON.stringify(read.value) });
    at = read.end;
  }
  return calls;
}

function callOf(value: unknown): WrittenCall | null {
  if (typeof value !== 'object' || value === null) return null;
  const fields = value as Readonly<Record<string, unknown>>;
  const called = (fields['function'] ?? value) as Readonly<Record<string, unknown>>;
  const { name, arguments: given, parameters } = typeof called === 'object' ? called : fields;
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
