import { describe, expect, test } from 'vitest';
import type { AnswerPiece, GenerateRequest } from '../../../src/core/ports/engine.ts';
import type { Link, LinkRequest } from '../../../src/engines/http/link.ts';
import { converse } from '../../../src/engines/vllm/chat/converse.ts';
import { never } from './rig.ts';

const request: GenerateRequest = {
  messages: [{ role: 'user', content: 'Read it.' }],
  tools: [{ name: 'read_file', description: '', inputSchema: { type: 'object' } }],
  salt: 's',
  maxTokens: 50,
  temperature: 0,
  addGenerationPrompt: true,
};

/** The answer of a server that streams this text, a few characters at a time, and leaves the calls in it. */
async function answered(text: string, more: Partial<GenerateRequest> = {}) {
  const sent: LinkRequest[] = [];
  const chunk = (choice: object): object => ({ data: JSON.stringify({ choices: [{ index: 0, ...choice }] }) });
  const link = {
    label: 'the server',
    async *events(asked: LinkRequest) {
      sent.push(asked);
      for (const content of text.match(/[^]{1,5}/g) ?? []) yield chunk({ delta: { content } });
      yield chunk({ delta: {}, finish_reason: 'stop' });
      yield { data: '', isEnd: true };
    },
  } as unknown as Link;
  const pieces: AnswerPiece[] = [];
  const conversing = {
    link,
    model: 'm',
    maxModelLen: null,
    dialect: { ask: (asked: LinkRequest, send: (fitting: LinkRequest) => unknown) => send(asked) } as never,
    stops: [],
    elapsedMs: () => 0,
    leavesCallsInText: true,
    enforcesSchemas: false,
  };
  const { answer } = await converse(conversing, { ...request, ...more }, (piece) => pieces.push(piece), never);
  const heard = (field: 'text' | 'toolCall'): string => pieces.map((piece) => piece[field] ?? '').join('');
  return { answer, said: heard('text'), called: heard('toolCall'), body: sent[0]?.body as Record<string, unknown> };
}

const call = '<tool_call>{"name":"read_file","arguments":{"path":"a"}}</tool_call>';

describe('S4-14 an answer of a server that leaves tool calls in its text', () => {
  test('has its calls, and shows nobody how the model writes them', async () => {
    const { answer, said, called } = await answered(`Let me look.\n${call}\n`);
    expect(answer).toMatchObject({
      text: 'Let me look.',
      toolCalls: [{ name: 'read_file', arguments: '{"path":"a"}' }],
    });
    expect([said.trimEnd(), called]).toEqual(['Let me look.', 'read_file {"path":"a"}']);
  });

  test('without a call is its text, the white space at its end too', async () => {
    expect((await answered('It says a < b. \n')).answer).toMatchObject({ text: 'It says a < b. \n', toolCalls: [] });
  });

  test('that must call is asked for as JSON of the tools alone', async () => {
    const { body } = await answered(call, { toolChoice: 'read_file' });
    expect(body).toMatchObject({ skip_special_tokens: false, response_format: { type: 'json_schema' } });
    expect((await answered(call)).body).not.toHaveProperty('response_format');
  });
});
