import { describe, expect, test } from 'vitest';
import { CallArguments } from '../../../src/embedded/http/callArguments.ts';

const parameters = { type: 'object', properties: { path: { type: 'string' } } };
const tools = [{ type: 'function', function: { name: 'read_file', parameters } }];

/** For each token, what it had to follow: the characters before the schema; null for nothing. */
function followed(...tokens: string[]): (string | null)[] {
  const calls = new CallArguments(tools);
  return tokens.map((token) => {
    const { rule } = calls;
    calls.push(token);
    if (!rule) return null;
    expect('calls' in rule ? rule.calls.get('read_file') : rule.schema).toBe(parameters);
    return 'calls' in rule ? rule.mark : (rule.lead ?? '');
  });
}

describe("S4-14 the arguments of a call follow their tool's schema", () => {
  test('from the key on, whatever of it is in one token, up to their end', () => {
    const before = ['<tool_call>', '\n{"name": "read_file", "'];
    expect(followed(...before, 'arguments', '": {"', 'path":"a"', '}', '}', '\n</tool_call>')).toEqual([
      null,
      null,
      null,
      '":',
      '":',
      '":',
      '":',
      null,
    ]);
    expect(followed(...before, 'arguments"', ':', '{}}', '\n')).toEqual([null, null, null, ':', ':', null]);
    expect(followed(...before, 'arguments":', ' ', '{}}', '\n')).toEqual([null, null, null, '', '', null]);
    expect(followed('[TOOL_CALLS]read_file[ARGS]', '{"path":"a"', '}', '[TOOL_CALLS]')).toEqual([null, '', '', null]);
  });

  test("in Gemma's form from the mark on, up to the brace that closes them outside of every text", () => {
    const mark = '<|"|>';
    const tokens = [
      '<|tool_call>',
      'call',
      ':read_file{path:',
      mark,
      '}',
      '}]',
      mark,
      '}',
      '<tool_call|>',
      '<|tool_call>',
      'call',
    ];
    const rules = [null, mark, mark, mark, mark, mark, mark, mark, null, null, mark];
    expect(followed(...tokens)).toEqual(rules);
  });

  test('of each call by itself', () => {
    const calls = new CallArguments(tools);
    const call = '<tool_call>{"name":"read_file","arguments';
    calls.push(call);
    const first = calls.rule;
    for (const token of ['":', '{"path":"', '}', '"}', '}', '</tool_call>']) calls.push(token);
    expect(calls.rule).toBeNull();
    calls.push(call);
    expect(calls.rule).not.toBeNull();
    expect(calls.rule).not.toBe(first);
  });

  test.each([
    ['Llama 3', '{"name": "read_file", "parameters'],
    ['Mistral, in a list', '[TOOL_CALLS][{"name": "read_file", "arguments'],
    ['Mistral', '[TOOL_CALLS]read_file[ARGS]'],
    ['Mistral, with an id', '[TOOL_CALLS]read_file[CALL_ID]abcdefghi[ARGS]'],
    ['Gemma 4', 'I look.<|tool_call>'],
    ['FunctionGemma', '<start_function_call>'],
    ['gpt-oss', '<|channel|>commentary to=functions.read_file <|constrain|>json<|message|>'],
  ])('in the form of %s', (_, text) => {
    expect(followed(text, '{').at(-1)).not.toBeNull();
  });

  test.each([
    ['a tool that is not there', '<tool_call>{"name": "other", "arguments'],
    [
      'an answer of gpt-oss behind a call',
      'to=functions.read_file<|message|>{}<|call|><|start|>assistant<|channel|>final<|message|>',
    ],
    ['plain text', 'The arguments'],
    ['a call in Python', '```tool_code\nread_file('],
  ])('and nothing else is held to it: %s', (_, text) => {
    expect(followed(text, '{')).toEqual([null, null]);
  });
});
