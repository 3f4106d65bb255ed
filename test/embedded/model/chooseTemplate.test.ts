import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { builtInTemplates, type BuiltInTemplateName } from '../../../src/embedded/model/builtInTemplates.ts';
import { chooseTemplate } from '../../../src/embedded/model/chooseTemplate.ts';
import type { ModelInfo } from '../../../src/embedded/worker/workerProtocol.ts';
import { scratch } from '../support/smallModel.ts';

const info = (more: Partial<ModelInfo> = {}): ModelInfo => ({
  llamaCpp: 'v0',
  name: null,
  architecture: 'llama',
  gpu: null,
  device: 'CPU',
  contextTokens: 100,
  threads: 1,
  vocabularySize: 100,
  bosId: 1,
  bosText: '<s>',
  eosText: '</s>',
  prependBos: true,
  endIds: [2],
  chatTemplate: null,
  markers: [],
  canTruncate: true,
  takesParts: false,
  hasScaledPositions: false,
  ...more,
});
const messages = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: ' Hello ' },
  { role: 'assistant', content: 'Hi.' },
  { role: 'user', content: 'Bye' },
];
const names = Object.keys(builtInTemplates) as BuiltInTemplateName[];
const render = (name: BuiltInTemplateName, upTo: number, opens = true): string =>
  chooseTemplate(info(), name).template.render({
    messages: messages.slice(0, upTo),
    bos_token: '<s>',
    eos_token: '</s>',
    add_generation_prompt: opens,
  });

describe('the chat template', () => {
  it("is the model's own where it has one, and nothing is said about it", () => {
    const { template, notice } = chooseTemplate(info({ chatTemplate: '{{ messages[0].content }}!' }), null);
    expect(template.render({ messages })).toBe('Be brief.!');
    expect(notice).toBeNull();
  });

  it.each(names)('is %s for a vocabulary of its tokens, and said so', (name) => {
    const { notice, stopStrings } = chooseTemplate(info({ markers: builtInTemplates[name].markers }), null);
    expect(notice).toContain(`"${name}"`);
    expect(notice).not.toContain('may not have been made');
    expect(stopStrings).toEqual([]);
  });

  it('is ChatML where nothing fits: its mark ends an answer as text, and the doubt is said', () => {
    const { notice, stopStrings } = chooseTemplate(info(), null);
    expect(notice).toContain('"chatml"');
    expect(notice).toContain('may not have been made for conversations');
    expect(stopStrings).toEqual(['<|im_end|>']);
  });

  it.each(names)('%s renders a longer conversation so that it begins with the shorter one', (name) => {
    expect(render(name, 3, false).startsWith(render(name, 2, false))).toBe(true);
    expect(render(name, 4).startsWith(render(name, 3, false))).toBe(true);
    expect(render(name, 3, false).startsWith(`${render(name, 2)}Hi.`)).toBe(true);
    for (const { content } of messages) expect(render(name, 4)).toContain(content);
  });

  it("is the user's where one is named: a built-in one, or that of a file", () => {
    using folder = scratch();
    const path = join(folder.path, 'mine.jinja');
    writeFileSync(path, 'mine: {{ messages[1].content }}');
    const own = info({ chatTemplate: 'own' });
    expect(chooseTemplate(own, path).template.render({ messages })).toBe('mine:  Hello ');
    expect(chooseTemplate(own, 'llama3').notice).toContain('As set');
    expect(() => chooseTemplate(own, join(folder.path, 'none'))).toThrow('cannot be read');
  });

  it('that is broken is named before anybody asks anything', () => {
    const broken = info({ chatTemplate: '{% for m in messages %}{{ m.content }}{% endfor' });
    expect(() => chooseTemplate(broken, null)).toThrow("The model's chat template is broken");
    expect(() => chooseTemplate(broken, 'chatml')).not.toThrow();
  });
});
