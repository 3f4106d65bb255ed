import { describe, expect, test } from 'vitest';
import { TextCalls } from '../../../src/engines/vllm/chat/textCalls.ts';

/** What comes of a text, in pieces of so many characters. */
function read(text: string, size: number) {
  const found = new TextCalls(['read_file', 'look_up']);
  let heard = '';
  for (let at = 0; at < text.length; at += size) heard += found.push(text.slice(at, at + size));
  const { rest, calls } = found.end();
  return { said: heard + rest, calls: calls.map(({ name, arguments: given }) => `${name} ${given}`) };
}

const path = '{"path":"a \\"b\\" }"}';

describe.each([1, 3, 7, 1000])('tool calls in the text of an answer, in pieces of %i characters', (size) => {
  test.each([
    [
      'Qwen and Hermes',
      `Let me look.\n<tool_call>\n{"name": "read_file", "arguments": ${path}}\n</tool_call>`,
      'Let me look.\n',
      1,
    ],
    [
      'two of them',
      `<tool_call>{"name":"read_file","arguments":${path}}</tool_call>\n<tool_call>{"name":"look_up","arguments":{}}</tool_call>`,
      '',
      2,
    ],
    ['Mistral', `[TOOL_CALLS][{"name": "read_file", "arguments": ${path}}]`, '', 1],
    ['Llama 3', `{"name": "read_file", "parameters": ${path}}`, '', 1],
    ['Llama 3 with its tag', `<|python_tag|>{"name": "read_file", "parameters": ${path}}`, '', 1],
  ])('of %s are told apart', (_, text, said, count) => {
    const found = read(text, size);
    expect(found.said).toBe(said);
    expect(found.calls).toHaveLength(count);
    expect(found.calls[0]).toBe(`read_file ${path}`);
  });

  test.each([
    'No call at all, and 3 < 4.',
    '{"name": "somebody", "age": 5} is a person.',
    'Half a call: <tool_call>{"name": "read_file", "argum',
    'It writes <tool_call> by the way.',
    '[1, 2, 3]',
  ])('are none in: %s', (text) => {
    expect(read(text, size)).toEqual({ said: text, calls: [] });
  });
});
