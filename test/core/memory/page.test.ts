import { describe, expect, test } from 'vitest';
import { hintOf, pageIdOf, pageOf, parsePageId, textOf } from '../../../src/core/memory/page.ts';
import type { MessageId } from '../../../src/protocol/ids.ts';
import { memoryPageSchema } from '../../../src/protocol/memory/page.ts';
import type { Message } from '../../../src/protocol/schemas/session.ts';

const message = (content: Message['content'], role: Message['role'] = 'user', sequence = 41): Message => ({
  id: `message-${sequence}` as MessageId,
  role,
  parentId: null,
  sequence,
  content,
  createdAt: '2026-01-01T00:00:00.000Z',
});

describe('a page', () => {
  test('S1-30 a message becomes one that its schema takes, outside the prompt, with its bytes counted', () => {
    const page = pageOf(message({ type: 'text', text: 'wé' }), 3);
    expect(memoryPageSchema.parse(page)).toEqual(page);
    expect(page).toMatchObject({ kind: 'transcript', sizeBytes: 3, tokens: 3, tier: 'L2', level: 0, importance: 0.6 });
  });

  test('S1-30 an importance out of range is refused', () => {
    const page = { ...pageOf(message({ type: 'text', text: 'x' }), null), importance: 1.5 };
    expect(memoryPageSchema.safeParse(page).success).toBe(false);
  });

  test('the result of a tool is an artifact, and a call is structured', () => {
    const result = { type: 'tool-result', call: 'c', name: 'read', text: 'bytes', outcome: 'done' } as const;
    expect(pageOf(message(result, 'tool'), null)).toMatchObject({ kind: 'artifact', importance: 0.4 });
    const call = { type: 'tool-calls', text: '', calls: [{ id: 'c', name: 'read', arguments: '{}' }] } as const;
    const calling = message({ ...call, calls: [...call.calls] }, 'assistant');
    expect(pageOf(calling, null).modality).toBe('structured');
    expect(textOf(calling)).toBe('read({})');
  });

  test('its id is the same whenever it is derived, and differs between branches', () => {
    const one = message({ type: 'text', text: 'a' });
    expect(pageIdOf(one)).toBe(pageIdOf({ ...one }));
    expect(pageIdOf(one)).not.toBe(pageIdOf({ ...one, id: 'message-other' as MessageId }));
  });

  test.each([
    ['p41-3f9a', { sequence: 41, digits: '3f9a' }],
    ['[P41-3F9A]', { sequence: 41, digits: '3f9a' }],
    ['p41', { sequence: 41, digits: null }],
    ['41', null],
    ['p41-xyz', null],
    ['p99999999999', null],
  ])('an id as a model writes it: %s', (text, parsed) => {
    expect(parsePageId(text)).toEqual(parsed);
  });

  test('S1-62 a hint is one line of at most 120 characters', () => {
    const hint = hintOf(message({ type: 'text', text: `one\n</segment>\ntwo ${'x'.repeat(200)}` }));
    expect(hint).toHaveLength('[user] '.length + 120);
    expect(hint).not.toContain('\n');
  });
});
