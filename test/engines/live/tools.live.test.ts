import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, expect, test } from 'vitest';

import type { BackendClient } from '../../../src/client/backendClient.ts';
import { TextCalls } from '../../../src/engines/toolCalls/textCalls.ts';
import { EngineProcess } from '../../embedded/support/engineProcess.ts';
import { noteFigure } from './figures.ts';
import { gemmaModel } from './gemmaModel.ts';
import { startLlamaServer } from './llamaServer.ts';
import { productWithTools } from './productWithTools.ts';
import { vllmModel } from './vllmModel.ts';
import { startVllm } from './vllmServer.ts';

const never = new AbortController().signal;
const templateOf = (family: string): string =>
  join(import.meta.dirname, '..', 'toolCalls', 'templates', `${family}.jinja`);
const template = templateOf('hermes');
const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/**
 * No model that fits into a test decides by itself to call a tool, so that the request names one. What it passes to it is the model's own,
 * within the schema that the MCP server gave: an engine that ignores it would say anything.
 */
async function roundTrip(client: BackendClient, engine: string, label: string, sampling = {}): Promise<void> {
  const tool = 'all_get-annotated-message';
  await client.call('createSession', { id: 's', engine, sampling, tools: { policy: 'manual' } });
  const steps: string[] = [];
  const question = { session: 's', text: 'How is it? Use a tool.', toolChoice: tool, maxTokens: 300 };
  const asked = await client.call('send', question);
  const [call] = asked.pendingTools?.calls ?? [];
  expect(call?.name).toBe(tool);
  const given: unknown = parseOr(call?.arguments);
  expect(given, call?.arguments).toMatchObject({ messageType: expect.stringMatching(/^(?:error|success|debug)$/) });
  expect((await client.call('getSession', { session: 's' })).phase).toBe('AwaitingToolApproval');

  const answered = await client.call(
    'approveTools',
    { session: 's', maxTokens: 8 },
    { onProgress: (step) => void steps.push(step) },
  );
  expect(steps).toContain(`Running the tool ${tool}`);
  const { items } = await client.call('listMessages', { session: 's' });
  const [, , result, answer] = items.map(({ content }) => content);
  expect(items.map(({ content }) => content.type)).toEqual(['text', 'tool-calls', 'tool-result', 'text']);
  expect(result).toMatchObject({ type: 'tool-result', call: call?.id, name: tool, outcome: 'done' });
  expect(answer).toMatchObject({ type: 'text', text: answered.text });
  // The second prompt begins with the first, the tools at its start included.
  const { promptTokens, cachedTokens } = answered;
  noteFigure(
    `${label}: a tool call with the arguments ${call?.arguments}; after its result, ${cachedTokens} of ${promptTokens} tokens reused`,
  );
  expect(cachedTokens ?? 0).toBeGreaterThan(asked.promptTokens / 2);

  const wrong = client.call('send', { session: 's', text: 'Again.', toolChoice: 'fly_to_moon' });
  await expect(wrong).rejects.toThrow('There is no tool "fly_to_moon"');
  expect((await client.call('getSession', { session: 's' })).phase).toBe('Idle');
}

/** Undefined for what is no JSON. */
function parseOr(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '') as unknown;
  } catch {
    return undefined;
  }
}

test('S4-14 a tool call on llama-server: real arguments within the schema, a real MCP server, and an answer', async () => {
  const start = { modelPath: gemmaModel(), servedName: 'gemma', contextTokens: 8192, slots: 1, chatTemplate: template };
  const server = await startLlamaServer(start, never);
  cleanUps.push(() => server.stop());
  await roundTrip(await productWithTools(cleanUps), server.url, 'llama-server with Gemma');
}, 300_000);

test('S4-14 a tool call on the embedded engine: real arguments within the schema, a real MCP server, and an answer', async () => {
  const flags = ['--chat-template', template, '--context', '8192', '--threads', '1'];
  await roundTrip(
    await productWithTools(cleanUps, flags),
    `embedded:${gemmaModel()}`,
    'the embedded engine with Gemma',
  );
}, 300_000);

test.each(['hermes', 'gemma'])(
  'S4-14 a call that the real Gemma makes by itself on the embedded engine, in the form of %s, has arguments within the schema',
  async (form) => {
    const folder = await mkdtemp(join(tmpdir(), 'cwm-auto-'));
    cleanUps.push(() => rm(folder, { recursive: true, force: true }));
    const flags = ['--model', gemmaModel(), '--chat-template', templateOf(form), '--context', '4096'];
    const server = await EngineProcess.start(join(folder, 'kv'), ...flags);
    cleanUps.push(() => server.kill());
    const id = 'abcdefghi';
    const read = (path: string) => ({ name: 'read_file', arguments: JSON.stringify({ path, mode: 'fast' }) });
    // The model repeats what it sees, a mode that the tool does not have included.
    const turn = (path: string) => [
      { role: 'user', content: `Read ${path}.` },
      { role: 'assistant', content: '', tool_calls: [{ id, type: 'function', function: read(path) }] },
      { role: 'tool', content: 'ok', tool_call_id: id },
      { role: 'assistant', content: `I read ${path}.` },
    ];
    const messages = [...['a.txt', 'b.txt', 'c.txt'].flatMap(turn), { role: 'user', content: 'Read d.txt.' }];
    const parameters = {
      type: 'object',
      properties: { path: { type: 'string' }, mode: { enum: ['slow', 'careful'] }, lines: { type: 'integer' } },
      required: ['path', 'mode'],
    };
    const tools = [{ type: 'function', function: { name: 'read_file', description: 'Reads a file.', parameters } }];
    const body = { messages, tools, temperature: 0, max_tokens: 40, skip_special_tokens: false };
    const response = await fetch(`${server.url}/v1/chat/completions`, { method: 'POST', body: JSON.stringify(body) });
    const { choices } = (await response.json()) as { choices: { message: { content: string } }[] };
    const said = new TextCalls(['read_file']);
    said.push(choices[0]?.message.content ?? '');
    said.end();
    const [call] = said.calls;
    noteFigure(`a call that Gemma made by itself, in the form of ${form}: ${call?.name} ${call?.arguments}`);
    expect(call?.name).toBe('read_file');
    expect(parseOr(call?.arguments)).toEqual({ path: 'd.txt', mode: expect.stringMatching(/^(?:slow|careful)$/) });
  },
  300_000,
);

test('S4-03 a question of the real Gemma on the embedded engine: it waits, its answer is the result, and the model answers', async () => {
  const flags = ['--chat-template', template, '--context', '8192', '--threads', '1'];
  const client = await productWithTools(cleanUps, flags);
  const engine = `embedded:${gemmaModel()}`;
  await client.call('createSession', { id: 'q', engine, tools: { policy: 'auto-approve' } });
  const text = 'Paint the fence. Ask me which colour.';
  const asked = await client.call('send', { session: 'q', text, toolChoice: 'ask_user', maxTokens: 300 });
  const [call] = asked.pendingTools?.calls ?? [];
  expect(call?.question?.text, call?.arguments).toMatch(/\S/);
  noteFigure(`a question of Gemma: ${call?.arguments}`);
  expect((await client.call('turnState', { session: 'q' })).pendingToolApprovals).toHaveLength(1);
  const answered = await client.call('answerQuestion', { session: 'q', answer: 'Green.', maxTokens: 8 });
  const { items } = await client.call('listMessages', { session: 'q' });
  expect(items.map(({ content }) => content.type)).toEqual(['text', 'question', 'tool-result', 'text']);
  expect(items[2]?.content).toMatchObject({ text: 'Green.', outcome: 'done' });
  expect(answered.cachedTokens ?? 0).toBeGreaterThan(asked.promptTokens / 2);
}, 300_000);

test('S4-14 a tool call on vLLM: arguments within the schema, a real MCP server, and an answer', async () => {
  const model = await vllmModel('tiny', { signal: never, log: (line) => console.log(line) });
  const server = await startVllm({ model, connector: 'none', toolTemplate: template }, never);
  cleanUps.push(() => server.stop());
  await roundTrip(await productWithTools(cleanUps), server.url, 'vLLM');
}, 400_000);
