import { Template } from '@huggingface/jinja';
import { expect, test } from 'vitest';
import { ChatTemplate } from '../../../src/embedded/http/chatTemplate.ts';
import type { ChatMessage } from '../../../src/core/ports/engine.ts';
import { namedCalls } from '../../../src/core/tools/toolCalls.ts';
import { TextCalls } from '../../../src/engines/toolCalls/textCalls.ts';
import { wireMessages } from '../../../src/engines/toolCalls/wireMessages.ts';
import { wireTools } from '../../../src/engines/toolCalls/toolWire.ts';
import { aModel } from '../../embedded/support/aModel.ts';
import { fc } from '../../support/fc.ts';

const tools = [
  {
    name: 'read_file',
    description: 'Reads a file.',
    inputSchema: {
      type: 'object',
      properties: { path: { type: 'string', description: 'Where it is.' }, deep: { type: 'object', properties: {} } },
      required: ['path'],
    },
  },
  { name: 'look_up', description: 'Looks something up.', inputSchema: { type: 'object', properties: {} } },
] as const;

const question: ChatMessage = { role: 'user', content: 'What is in it?' };
const given = { deep: { list: [1.5, true, 'x'] }, path: 'a "b" }' };

/** As the embedded engine gets a conversation of the product. */
export function renderWith(
  source: string,
  messages: readonly ChatMessage[],
  addGenerationPrompt: boolean,
  offers = true,
): string {
  const template = new ChatTemplate(aModel(), { template: new Template(source), stopStrings: [], notice: null });
  return template.render({
    messages: wireMessages(messages) as { role: string }[],
    add_generation_prompt: addGenerationPrompt,
    ...(offers && wireTools(tools)),
  });
}

const calling = (calls: readonly { readonly name: string; readonly arguments: string }[]): ChatMessage => ({
  role: 'assistant',
  content: '',
  toolCalls: namedCalls(calls.map((call) => ({ id: '', ...call }))),
});

/** What a model would have written, that the template writes for an answer with these calls. */
function answerOf(source: string, calls: Parameters<typeof calling>[0]): string {
  const before = renderWith(source, [question], true).trimEnd();
  const written = renderWith(source, [question, calling(calls)], false);
  expect(written.startsWith(before)).toBe(true);
  // The end of a turn is a token of its own, which ends the answer.
  return written.slice(before.length).replace(/(?:<\|im_end\|>|<\|eot_id\|>|<turn\|>|<\/s>)\s*$/, '');
}

/** @param size characters in a piece. */
function read(answer: string, size: number) {
  const found = new TextCalls(tools.map(({ name }) => name));
  for (let at = 0; at < answer.length; at += size) found.push(answer.slice(at, at + size));
  found.end();
  return { told: found.told, calls: found.calls.map((call) => [call.name, call.arguments] as const) };
}

/** What the product needs of the template of a family. @param several whether it writes several calls in one message. */
export function testsOfTemplate(source: () => string, { several }: { readonly several: boolean }): void {
  test('lists the tools where it has its place for them', () => {
    const text = renderWith(source(), [question], true);
    for (const { name } of tools) expect(text).toContain(name);
    expect(renderWith(source(), [question], true, false)).not.toContain('read_file');
  });

  test.each([1, 5, 10_000])('writes a call that is read back in pieces of %i characters', (size) => {
    const answer = answerOf(source(), [{ name: 'read_file', arguments: JSON.stringify(given) }]);
    const { told, calls } = read(answer, size);
    expect(told.trim()).toBe('');
    expect(calls.map(([name, said]) => [name, JSON.parse(said)])).toEqual([['read_file', given]]);
  });

  test('writes several calls, or a message for each, and each one is read back', () => {
    const asked = [
      { name: 'read_file', arguments: JSON.stringify(given) },
      { name: 'look_up', arguments: '{}' },
    ];
    const { told, calls } = several
      ? read(answerOf(source(), asked), 3)
      : { told: '', calls: asked.flatMap((call) => read(answerOf(source(), [call]), 3).calls) };
    expect(told.trim()).toBe('');
    expect(calls.map(([name, said]) => [name, JSON.parse(said)])).toEqual([
      ['read_file', given],
      ['look_up', {}],
    ]);
  });

  test('writes the results in order behind the calls, each call once, also one whose arguments are no JSON', () => {
    const asked = calling([
      { name: 'read_file', arguments: '{"path":"a"}' },
      { name: 'look_up', arguments: 'no JSON' },
    ]);
    const results = (asked.toolCalls ?? []).map(({ id }, at): ChatMessage => ({
      role: 'tool',
      content: `result ${at}`,
      toolCallId: id,
    }));
    const text = renderWith(source(), [question, asked, ...results], true);
    const listed = renderWith(source(), [question], true).length;
    const places = ['result 0', 'result 1'].map((result) => text.lastIndexOf(result));
    expect(places[0]).toBeGreaterThan(0);
    expect(places[1]).toBeGreaterThan(places[0]!);
    // The tools are listed before; what comes behind has the calls.
    const behind = text.slice(Math.min(listed, text.lastIndexOf('What is in it?')));
    for (const { name } of tools) expect(behind).toContain(name);
    // Behind its own call, where each call has a message of its own.
    if (!several) expect(text.indexOf('look_up', places[0])).toBeGreaterThan(places[0]!);
  });

  test('writes a call of which any beginning loses nothing: it is a call that says it is broken, or text', () => {
    const answer = answerOf(source(), [{ name: 'read_file', arguments: JSON.stringify(given) }]);
    fc.assert(
      fc.property(fc.nat(answer.length), fc.integer({ min: 1, max: 9 }), (length, size) => {
        const { told, calls } = read(answer.slice(0, length), size);
        if (calls.length === 0) {
          expect(answer.startsWith(told)).toBe(true);
          return;
        }
        expect(calls).toHaveLength(1);
        const [name, said] = calls[0]!;
        expect(name).toBe('read_file');
        if (isJson(said)) expect(JSON.parse(said)).toEqual(given);
        else expect(answer.replaceAll(/\s+/g, ' ')).toContain(said.replaceAll(/\s+/g, ' ').slice(0, 40));
      }),
    );
  });
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
