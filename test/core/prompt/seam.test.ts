import { describe, expect, test } from 'vitest';
import type { ChatMessage } from '../../../src/core/ports/engine.ts';
import { joinIds, renderBehind } from '../../../src/core/prompt/seam.ts';
import { never } from '../coreFixture.ts';
import { fc } from '../../support/fc.ts';

const encode = (text: string): number[] => Array.from(new TextEncoder().encode(text));
const decode = (ids: readonly number[] | null): string | null => ids && new TextDecoder().decode(Uint8Array.from(ids));
const say = (role: ChatMessage['role'], content: string): ChatMessage => ({ role, content });
const talk = [
  say('system', 'Be brief.'),
  say('user', 'one'),
  say('assistant', 'a'),
  say('user', 'two'),
  say('assistant', 'b'),
];

const chatMl = (messages: readonly ChatMessage[]): string =>
  messages.map(({ role, content }) => `<${role}>${content}<end>\n`).join('');
const templates: Record<string, (messages: readonly ChatMessage[], opens: boolean) => string> = {
  'puts in the time': (messages, opens) => `now ${performance.now()}\n${chatMl(messages)}${opens ? '<assistant>' : ''}`,
  'numbers the messages': (messages, opens) =>
    messages.map(({ role, content }, index) => `${index} ${role}: ${content.trim()}\n`).join('') + (opens ? '> ' : ''),
  'drops old reasoning': (messages, opens) =>
    chatMl(messages.map((message) => ({ ...message, content: message.content.replace(/^.*<\/think>/s, '') }))) +
    (opens ? '<assistant><think>\n' : ''),
  'puts the system prompt before the last message': (messages, opens) => {
    const system = messages.find(({ role }) => role === 'system')?.content ?? '';
    const rest = messages.filter(({ role }) => role !== 'system');
    const last = rest.length - 1;
    const said = rest.map((message, index) =>
      index === last ? { ...message, content: `${system} ${message.content}` } : message,
    );
    return chatMl(said) + (opens ? '<assistant>' : '');
  },
  'repeats what the user said first': (messages, opens) =>
    `${chatMl(messages)}(first: ${messages[1]?.content})${opens ? '<assistant>' : ''}`,
};

describe('the seam between old and new messages', () => {
  test.each(Object.entries(templates))('is found where the template %s', async (_, template) => {
    const engine = {
      tokenize: async (messages: readonly ChatMessage[], opens: boolean) => encode(template(messages, opens)),
    };
    const messages = [...talk, say('user', 'three')];
    const rendered = encode(template(messages, true));
    const behind = decode(
      await renderBehind(engine, { messages, oldCount: talk.length, addGenerationPrompt: true }, rendered, never()),
    );
    const whole = template(messages, true);
    expect(behind).toBe(whole.slice(whole.lastIndexOf('three') - (behind ?? '').lastIndexOf('three')));
    expect(template([...talk.slice(0, -1), say('assistant', 'quite another')], false) + 'x').not.toContain(behind);
    expect(behind).toMatch(/^(<end>)?\n/);
    expect(behind).toContain('three');
  });

  test('is not there where a template shows no old answer', async () => {
    const engine = { tokenize: async (messages: readonly ChatMessage[]) => encode(messages.at(-1)?.content ?? '') };
    const conversation = {
      messages: [...talk, say('user', 'three')],
      oldCount: talk.length,
      addGenerationPrompt: true,
    };
    expect(await renderBehind(engine, conversation, encode('three'), never())).toBeNull();
  });

  test('the end of a turn that the model wrote itself is there once, and that of a cut answer is put in', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 10, max: 99 })),
        fc.array(fc.integer({ min: 10, max: 99 })),
        (old, added) => {
          const behind = [2, 3, 1, ...added];
          const whole = [...old, ...behind];
          expect(joinIds([...old, 2, 3], behind)).toEqual(whole);
          expect(joinIds([...old, 2], behind)).toEqual(whole);
          expect(joinIds(old, behind)).toEqual(whole);
        },
      ),
    );
  });
});
