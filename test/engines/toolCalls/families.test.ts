import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Template } from '@huggingface/jinja';
import { describe, expect, test } from 'vitest';
import { ChatTemplate } from '../../../src/embedded/http/chatTemplate.ts';
import type { ChatMessage } from '../../../src/core/ports/engine.ts';
import { namedCalls } from '../../../src/core/tools/toolCalls.ts';
import { TextCalls } from '../../../src/engines/toolCalls/textCalls.ts';
import { wireMessages } from '../../../src/engines/toolCalls/wireMessages.ts';
import { wireTools } from '../../../src/engines/toolCalls/toolWire.ts';
import { aModel } from '../../embedded/support/aModel.ts';

/**
 * Small templates that write what the published ones of five families write, refusals included: Qwen2.5-Instruct and Hermes 3, Llama 3.1,
 * Mistral-Nemo, Gemma 4, and gpt-oss (model cards on Hugging Face; Gemma's also as `gemma4.jinja` in llama.cpp).
 */
const families = ['hermes', 'llama3', 'mistral', 'gemma', 'gptOss'] as const;

const tools = [
  { name: 'read_file', description: 'Reads a file.', inputSchema: { type: 'object' } },
  { name: 'look_up', description: 'Looks something up.', inputSchema: { type: 'object' } },
];

/** As the embedded engine gets a conversation of the product. */
function render(family: string, messages: readonly ChatMessage[], addGenerationPrompt: boolean, offers = true): string {
  const source = readFileSync(join(import.meta.dirname, 'templates', `${family}.jinja`), 'utf8');
  const template = new ChatTemplate(aModel(), { template: new Template(source), stopStrings: [], notice: null });
  return template.render({
    messages: wireMessages(messages) as { role: string }[],
    add_generation_prompt: addGenerationPrompt,
    ...(offers && wireTools(tools)),
  });
}

const question: ChatMessage = { role: 'user', content: 'What is in it?' };
const given = { deep: { list: [1.5, true, 'x'] }, path: 'a "b" }' };

describe.each(families)('S4-14 tools in the template of %s', (family) => {
  test('are listed where the template has its place for them', () => {
    const text = render(family, [question], true);
    for (const { name } of tools) expect(text).toContain(name);
    expect(render(family, [question], true, false)).not.toContain('read_file');
  });

  test('are called, and the parser reads back what the template writes', () => {
    const calls = namedCalls([{ id: '', name: 'read_file', arguments: JSON.stringify(given) }]);
    const before = render(family, [question], true);
    const written = render(family, [question, { role: 'assistant', content: '', toolCalls: calls }], false);
    expect(written.startsWith(before.trimEnd())).toBe(true);
    const answer = written
      .slice(before.trimEnd().length)
      .replace(/(?:<\|im_end\|>|<\|eot_id\|>|<turn\|>|<\/s>)\s*$/, '');
    const found = new TextCalls(tools.map(({ name }) => name));
    for (const character of answer) found.push(character);
    found.end();
    expect(found.told.trim()).toBe('');
    expect(found.calls.map((call) => [call.name, JSON.parse(call.arguments)])).toEqual([['read_file', given]]);
  });

  test('get several results in order, also where the template takes one call at a time', () => {
    const calls = namedCalls([
      { id: 'x', name: 'read_file', arguments: '{"path":"a"}' },
      { id: 'text-1', name: 'look_up', arguments: 'no JSON' },
    ]);
    const results = calls.map(({ id }, at): ChatMessage => ({ role: 'tool', content: `result ${at}`, toolCallId: id }));
    const text = render(family, [question, { role: 'assistant', content: '', toolCalls: calls }, ...results], true);
    const places = ['result 0', 'result 1'].map((result) => text.lastIndexOf(result));
    expect(places[0]).toBeGreaterThan(0);
    expect(places[1]).toBeGreaterThan(places[0]!);
    // Behind its own call, where each call has a message of its own.
    if (family === 'llama3' || family === 'gptOss') {
      expect(text.indexOf('look_up', text.indexOf('result 0'))).toBeGreaterThan(places[0]!);
    }
  });
});
