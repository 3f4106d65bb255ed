import { describe, expect, test } from 'vitest';
import { renderFile, renderPrompt } from '../../../src/core/prompt/prompt.ts';
import type { Message } from '../../../src/protocol/schemas/session.ts';
import { messageId } from '../../support/ids.ts';
import { fc } from '../../support/fc.ts';

const message = (content: Message['content'], role: Message['role'], sequence = 1): Message => ({
  id: messageId(`m${sequence}`),
  role,
  parentId: null,
  sequence,
  content,
  createdAt: '2026-01-01T00:00:00.000Z',
});
const turn = fc.oneof(
  fc
    .string()
    .map((text): Message[] => [
      message({ type: 'text', text }, 'user'),
      message({ type: 'text', text: `${text}!` }, 'assistant'),
    ]),
  fc
    .array(fc.record({ path: fc.string(), text: fc.string() }), { minLength: 1, maxLength: 3 })
    .map((files): Message[] => [message({ type: 'context', files }, 'user')]),
);

describe('renderPrompt', () => {
  test('what is appended to a conversation is appended to its prompt, so that the prefix stays', () => {
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 6 }), turn, (before, next) => {
        const earlier = renderPrompt(before.flat());
        expect(renderPrompt([...before.flat(), ...next]).slice(0, earlier.length)).toEqual(earlier);
      }),
    );
  });

  test('user and assistant alternate, also after files', () => {
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 6 }), (turns) => {
        const roles = renderPrompt(turns.flat()).map((each) => each.role);
        expect(roles).toEqual(roles.map((_, index) => (index % 2 === 0 ? 'user' : 'assistant')));
      }),
    );
  });

  test("a file's own fences can't close the one around it", () => {
    const rendered = renderFile({ path: 'a.md', text: 'x\n````\ny\n' });
    expect(rendered).toBe('a.md\n`````\nx\n````\ny\n`````');
  });

  test('a file without a last line break is closed on a line of its own', () => {
    expect(renderFile({ path: 'a', text: 'x' })).toBe('a\n```\nx\n```');
  });
});
