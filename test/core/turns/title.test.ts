import { describe, expect, it } from 'vitest';
import { titleAfter } from '../../../src/core/title.ts';
import type { Message } from '../../../src/protocol/schemas/session.ts';
import { aSession } from '../../store/builders.ts';
import { messageId } from '../../support/ids.ts';
import { fc } from '../../support/fc.ts';

const untitled = aSession({ title: 's1' });
const message = (role: Message['role'], content: Message['content']): Message => ({
  id: messageId('m'),
  role,
  parentId: null,
  sequence: 1,
  content,
  createdAt: '2026-11-29T10:00:00.000Z',
});
const said = (text: string): Message => message('user', { type: 'text', text });
const titleOf = (text: string): string => titleAfter(untitled, [said(text)]);

describe('the title of a session without one', () => {
  it('is the first words of the first message, in one line', () => {
    expect(titleOf(' What is\n\n a prefix\tcache? ')).toBe('What is a prefix cache?');
    expect(titleAfter(untitled, [said('first'), said('second')])).toBe('first');
  });

  it('ends behind a whole word where the message is longer than a line', () => {
    expect(titleOf(`${'word '.repeat(11)}longer-than-the-rest-of-the-line`)).toBe(`${'word '.repeat(11).trim()}…`);
    expect(titleOf('x'.repeat(61))).toBe(`${'x'.repeat(60)}…`);
    expect(titleOf('x'.repeat(60))).toBe('x'.repeat(60));
  });

  it('K10 never ends in half of a character, and fits a line', () => {
    expect(titleOf(`${'x'.repeat(59)}😀 and more`)).toBe(`${'x'.repeat(59)}…`);
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (text) => {
        const title = titleOf(text);
        expect(title.isWellFormed()).toBe(true);
        expect(title.length).toBeLessThanOrEqual(61);
      }),
    );
  });

  it.each([
    ['<environment_info>\nLinux\n</environment_info>\n<workspace_info>\nx\n</workspace_info>', 'VS Code'],
    ['<environment_info>\nLinux\n</environment_info>\n<userMemory>\nNo notes.\n</userMemory>', 'VS Code with memory'],
    ['<system-reminder>\nToday is Monday.\n</system-reminder>\n', 'Claude Code'],
  ])('passes over what a program puts before the words of its user: %s (%s)', (block) => {
    expect(titleOf(`${block}Say hi`)).toBe('Say hi');
    expect(titleAfter(untitled, [said(block), said('Say hi')])).toBe('Say hi');
    const wrapped = '<context>\nMonday\n</context>\n<userRequest>\nName a pear\n</userRequest>\n';
    expect(titleAfter(untitled, [said(block), said(wrapped)])).toBe('Name a pear');
    // Nothing else was said.
    expect(titleOf(block)).toMatch(/^<\w+/);
    expect(titleOf('<b>Bold</b> words')).toBe('<b>Bold</b> words');
    expect(titleOf('<my-tag> is not closed')).toBe('<my-tag> is not closed');
  });

  it('stays its id where the message has no words, or is none of the user', () => {
    expect(titleOf(' \n ')).toBe(untitled.id);
    const answer = message('assistant', { type: 'text', text: 'Hello.' });
    const files = message('user', { type: 'context', files: [] });
    expect(titleAfter(untitled, [answer, files])).toBe(untitled.id);
  });
});

it('a title that a session has stays', () => {
  expect(titleAfter({ ...untitled, title: 'Mine' }, [said('What is a prefix cache?')])).toBe('Mine');
});
