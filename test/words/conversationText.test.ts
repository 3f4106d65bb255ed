import { expect, test } from 'vitest';
import { conversationText, messagesTable } from '../../src/words/conversationText.ts';
import type { Message, ShownMessage } from '../../src/protocol/schemas/session.ts';
import { messageId } from '../support/ids.ts';

const call = { id: 'c1', name: 'read_file', arguments: '{"path":"a.ts"}' };
const question = { id: 'c2', name: 'ask_user', arguments: '{}', question: { text: 'Which?', choices: ['A', 'B'] } };
const contents: readonly (readonly [Message['role'], Message['content']])[] = [
  ['user', { type: 'text', text: 'Look at this.' }],
  ['user', { type: 'text', text: '', media: [{ mediaType: 'image/png', sizeBytes: 2048, sha256: 'a'.repeat(64) }] }],
  ['assistant', { type: 'plan', text: '1. Read.' }],
  ['user', { type: 'context', files: [{ path: 'a.ts', text: 'let a;', sha256: 'b'.repeat(64) }] }],
  ['assistant', { type: 'tool-calls', text: '', calls: [call] }],
  ['assistant', { type: 'question', text: '', calls: [question] }],
  ['tool', { type: 'tool-result', call: 'c1', name: 'read_file', text: 'let a;', outcome: 'done' }],
  ['assistant', { type: 'unknown', kind: 'hologram', whole: { text: 'a cube' } }],
] as never;
const messages = contents.map(([role, content], at): ShownMessage => ({
  id: messageId(`m${at + 1}`),
  role,
  parentId: null,
  sequence: at + 1,
  content,
  createdAt: '2026-11-20T10:00:00.000Z',
}));

test('each kind of message has a row that says how it begins, and a lost one says that it is lost', () => {
  const lost = { ...messages[0]!, lost: 'damaged' as never };
  const { head, rows } = messagesTable([...messages, lost]);
  expect(head).not.toContain('Cost');
  expect(rows.map((row) => row.at(-1))).toEqual([
    'Look at this.',
    '(1 picture)',
    'Plan: 1. Read.',
    'a.ts',
    'calls read_file {"path":"a.ts"}',
    'asks: Which?',
    'read_file (done): let a;',
    'a message of the kind "hologram"',
    'lost',
  ]);
});

test('a table of messages has a column of costs only where one is known, and says where one is not', () => {
  const taken = { promptTokens: 1200, cachedTokens: 1000, outputTokens: 5 };
  const priced = { ...messages[0]!, taken, cost: { amount: 0.5, currency: 'EUR' } } as never as ShownMessage;
  const { head, rows } = messagesTable([priced, { ...messages[1]!, taken } as ShownMessage, messages[2]!]);
  expect(head.at(-2)).toBe('Cost');
  expect(rows[0]?.slice(3, 6)).toEqual(['1,200', '1,000', '5']);
  expect(rows.map((row) => row.at(-2))).toEqual(['0.500 EUR', 'not known', '']);
});

test('the text of a conversation has a section for each message, with questions, choices and what a later version stored', () => {
  const text = conversationText({ title: null, messages, earlier: 2, pending: null });
  expect(text).toMatch(/^\*2 earlier messages are not shown\.\*\n/);
  expect(text).toContain('## Model asks you\n\nWhich?\n\n1. A\n2. B');
  expect(text).toContain('(picture: PNG, 2 kB)');
  expect(text).toContain('## Message of an unknown kind\n\nA later version of this program stored it, as "hologram".');
  expect(text).toContain('a cube');
});
