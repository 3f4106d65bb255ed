import { expect, test } from 'vitest';
import { callSchema } from '../../../src/engines/toolCalls/callSchema.ts';
import { textCallsRequest } from '../../../src/engines/vllm/chat/chatRequest.ts';

const tools = ['read', 'write'].map((name) => ({
  name,
  description: name,
  inputSchema: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] },
}));

test('a call that must come is an object of one of the tools, or of the named one, with its arguments and nothing else', () => {
  const [read, write] = tools.map(({ name }) => ({
    type: 'object',
    properties: { name: { const: name }, arguments: expect.objectContaining({ required: ['path'] }) as unknown },
    required: ['name', 'arguments'],
    additionalProperties: false,
  }));
  expect(callSchema(tools as never, 'required')).toEqual({ anyOf: [read, write] });
  expect(callSchema(tools as never, 'write')).toEqual(write);
});

test('a server that leaves calls in the text shows their marks, and has a schema only for a call that must come', () => {
  const request = { messages: [], tools, maxTokens: 8, addGenerationPrompt: true, salt: 's' };
  const body = (toolChoice: string) => textCallsRequest('m', { ...request, toolChoice } as never).body;
  expect(body('auto')).toMatchObject({ skip_special_tokens: false });
  expect(body('auto')).not.toHaveProperty('response_format');
  expect(body('read')).toMatchObject({
    response_format: { json_schema: { name: 'call', schema: { type: 'object' } } },
  });
});
