import { describe, expect, test } from 'vitest';
import { TextCalls } from '../../../src/engines/toolCalls/textCalls.ts';

/** What comes of a text, in pieces of so many characters. */
function read(text: string, size: number) {
  const found = new TextCalls(['read_file', 'look_up']);
  let said = '';
  let shown = '';
  let thought = '';
  const hear = ({ text = '', reasoning = '', toolCall = '' }: ReturnType<TextCalls['push']>): void => {
    said += text;
    thought += reasoning;
    shown += toolCall;
  };
  for (let at = 0; at < text.length; at += size) hear(found.push(text.slice(at, at + size)));
  hear(found.end());
  expect(found.told).toBe(said);
  expect(found.reasoning).toBe(thought);
  const calls = found.calls.map(({ name, arguments: given }) => `${name} ${given}`);
  expect(shown).toBe(calls.join('\n'));
  return { said, thought, calls };
}

const path = '{"path":"a \\"b\\" }"}';
const first = `read_file ${path}`;
const other = 'look_up {}';

describe.each([1, 3, 7, 1000])('S4-14 tool calls in the text of an answer, in pieces of %i characters', (size) => {
  test.each<[string, string, string, readonly string[]]>([
    [
      'Qwen and Hermes',
      `Let me look.\n<tool_call>\n{"name": "read_file", "arguments": ${path}}\n</tool_call>`,
      'Let me look.\n',
      [first],
    ],
    [
      'Qwen and Hermes, two of them',
      `<tool_call>{"name":"read_file","arguments":${path}}</tool_call>\n<tool_call>{"name":"look_up","arguments":{}}</tool_call>`,
      '',
      [first, other],
    ],
    ['Qwen and Hermes, an invented one', '<tool_call>{"name":"fly","arguments":{}}</tool_call>', '', ['fly {}']],
    [
      'Mistral, a list',
      `[TOOL_CALLS][{"name": "read_file", "arguments": ${path}}, {"name": "look_up"}]`,
      '',
      [first, other],
    ],
    [
      'Mistral, name by name',
      `I look.[TOOL_CALLS]read_file[ARGS]${path}[TOOL_CALLS]look_up[CALL_ID]abcdefghi[ARGS]{}`,
      'I look.',
      [first, other],
    ],
    ['Llama 3', `{"name": "read_file", "parameters": ${path}}`, '', [first]],
    [
      'Llama 3, two of them',
      `{"name": "read_file", "parameters": ${path}}; {"name": "look_up", "parameters": {}}`,
      '',
      [first, other],
    ],
    ['Llama 3, with its tag', `<|python_tag|>{"name": "read_file", "parameters": ${path}}`, '', [first]],
    ['Llama 3, in Python', `[read_file(path='a "b" }'), look_up()]`, '', [first, other]],
    ['any of them, in a block', `\`\`\`json\n{"name": "read_file", "arguments": ${path}}\n\`\`\``, '', [first]],
    [
      'Gemma 4',
      `Well.<|tool_call>call:read_file{path:<|"|>a "b" }<|"|>}<tool_call|><|tool_call>call:look_up{}<tool_call|>`,
      'Well.',
      [first, other],
    ],
    [
      'Gemma 4, with the mark at which it waits for the result',
      '<|tool_call>call:look_up{}<tool_call|><|tool_call>call:read_file{path:<|"|>a "b" }<|"|>}<tool_call|><|tool_response>',
      '',
      [other, first],
    ],
    [
      'FunctionGemma',
      '<start_function_call>call:look_up{n:3,deep:{on:true,list:[1.5,null]}}<end_function_call>',
      '',
      ['look_up {"n":3,"deep":{"on":true,"list":[1.5,null]}}'],
    ],
    ['Gemma 3', 'I look.\n```tool_code\nread_file(path=\'a "b" }\')\n```', 'I look.\n', [first]],
    [
      'gpt-oss',
      `<|channel|>commentary to=functions.read_file <|constrain|>json<|message|>${path}<|call|>`,
      '',
      [first],
    ],
  ])('of %s are told apart', (_, text, said, calls) => {
    expect(read(text, size)).toMatchObject({ said, calls });
  });

  test('of gpt-oss are told from what it thinks and says', () => {
    const text =
      '<|channel|>analysis<|message|>Which file?<|end|><|start|>assistant<|channel|>commentary<|message|>I look.<|end|>' +
      `<|start|>assistant<|channel|>commentary to=functions.read_file json<|message|>${path}<|call|>` +
      '<|start|>assistant to=functions.look_up<|channel|>commentary<|message|>{}';
    expect(read(text, size)).toEqual({ said: 'I look.', thought: 'Which file?', calls: [first, other] });
    expect(read('<|channel|>final<|message|>3 < 4, and <|', size)).toMatchObject({ said: '3 < 4, and <|', calls: [] });
  });

  test.each([
    'No call at all, and 3 < 4.',
    '{"name": "somebody", "age": 5} is a person.',
    'It writes <tool_call> by the way.',
    '[1, 2, 3]',
    '[TOOL_CALLS] is how Mistral begins.',
    'A block:\n```js\nf(1)\n```',
    ' to do',
    '<|',
    '',
  ])('are none in: %s', (text) => {
    expect(read(text, size)).toEqual({ said: text, thought: '', calls: [] });
  });

  test.each<[string, string]>([
    ['Half a call: <tool_call>{"name": "read_file", "argum', 'read_file {"name": "read_file", "argum'],
    ['Half a call: [TOOL_CALLS]read_file[ARGS]{"path": "a', 'read_file {"path": "a'],
    ['Half a call: <|tool_call>call:read_file{path:<|"|>a', 'read_file {path:<|"|>a'],
  ])('that are half written have arguments that are no JSON: %s', (text, call) => {
    expect(read(text, size)).toEqual({ said: 'Half a call: ', thought: '', calls: [call] });
  });
});
