import { expect, test } from 'vitest';
import type { ChatMessage } from '../../../../src/core/ports/engine.ts';
import type { Link, LinkRequest } from '../../../../src/engines/http/link.ts';
import { chatPromptIds, nextChatIds } from '../../../../src/engines/llamaServer/text/chatPrompt.ts';
import type { PromptTokens } from '../../../../src/engines/llamaServer/text/promptTokens.ts';
import { never } from '../rig.ts';

const tools = [{ name: 'read_file', description: '', inputSchema: { type: 'object' } }];

/** A server whose template leaves an answer at the end open, as llama-server's does. One token a character. */
function server(listsTools = true) {
  const rendered = ({ body }: LinkRequest): string => {
    const { messages, tools: given = [] } = body as { messages: readonly ChatMessage[]; tools?: readonly object[] };
    const listed = listsTools && given.length > 0 ? `<tools>${given.length}<end>` : '';
    return messages.reduce((text, { role, content }, at) => {
      const isOpen = role === 'assistant' && at === messages.length - 1;
      return `${text}<${role}>${content}${isOpen ? '' : '<end>'}`;
    }, listed);
  };
  const link = { json: async (asked: LinkRequest) => ({ value: { prompt: rendered(asked) } }) } as unknown as Link;
  const prompts = { of: async (_: Link, text: string) => Array.from(text, (each) => each.codePointAt(0)) };
  return { link, prompts: prompts as unknown as PromptTokens };
}

test('a conversation that ends with an answer is closed behind it: the ids are the beginning of every next prompt', async () => {
  const messages: ChatMessage[] = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello.' },
  ];
  const idsOf = async (given: readonly ChatMessage[], addGenerationPrompt: boolean): Promise<string> =>
    String.fromCodePoint(...(await chatPromptIds(server(), { messages: given, addGenerationPrompt }, never)));
  const closed = await idsOf(messages, false);
  expect(closed).toBe('<user>Hi<end><assistant>Hello.<end><user>');
  expect(await idsOf([...messages, { role: 'user', content: 'And then?' }], true)).toMatch(new RegExp(`^${closed}`));
  // To continue the answer, it is left open.
  expect(await idsOf(messages, true)).toBe('<user>Hi<end><assistant>Hello.');
});

test("the beginning of every next prompt of another program's chat is rendered with all fields of its request but the stream", async () => {
  const asked: LinkRequest[] = [];
  const { link, prompts } = server();
  const json = async (request: LinkRequest) => {
    asked.push(request);
    return (link as unknown as { json: (request: LinkRequest) => Promise<unknown> }).json(request);
  };
  const messages = [{ role: 'user', content: 'Hi' }];
  const answer = { role: 'assistant', content: 'Hello.' };
  const fields = { tools: [{}], stream: true, chat_template_kwargs: { enable_thinking: false } };
  const ids = await nextChatIds({ link: { json } as unknown as Link, prompts }, { messages, answer, fields }, never);
  expect(String.fromCodePoint(...ids)).toBe('<tools>1<end><user>Hi<end><assistant>Hello.<end><user>');
  for (const { body } of asked) {
    expect(body).toMatchObject({ chat_template_kwargs: { enable_thinking: false }, add_generation_prompt: false });
    expect(body).not.toHaveProperty('stream');
  }
});

test('S4-14 a template that leaves the tools out without a word is an error, and never a turn without tools', async () => {
  const asked = { messages: [{ role: 'user', content: 'Hi' }] as const, addGenerationPrompt: true, tools };
  expect(String.fromCodePoint(...(await chatPromptIds(server(), asked, never)))).toBe('<tools>1<end><user>Hi<end>');
  await expect(chatPromptIds(server(false), asked, never)).rejects.toMatchObject({ name: 'EngineRejected' });
});
