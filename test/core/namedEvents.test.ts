import { expect, test } from 'vitest';
import type { NamedEvent } from '../../src/protocol/signals.ts';
import { diskFiles } from '../../src/store/disk/files.ts';
import { coreFixture, never } from './coreFixture.ts';

async function telling() {
  const told: NamedEvent[] = [];
  const fixture = await coreFixture({}, diskFiles, (own) => ({
    ...own,
    changes: { emit: (change) => own.changes.emit(change), tell: (event) => void told.push(event) },
  }));
  return { ...fixture, told };
}

test('S4-40 a turn tells of its answer as it begins, of each piece, of each message that is stored, and of the title', async () => {
  const { cwm, told } = await telling();
  await cwm.createSession({ id: 's' });
  const { messageId, userMessageId, text } = await cwm.send({ session: 's', text: 'What is ice?' }, never());
  const pieces = told.flatMap((event) => (event.name === 'ContentDelta' ? [event.data] : []));
  expect(pieces.map(({ delta }) => delta).join('')).toBe(text);
  expect(pieces.map(({ sequence }) => sequence)).toEqual(pieces.map((_, at) => at + 1));
  expect(new Set(pieces.map(({ message_id }) => message_id))).toEqual(new Set([messageId]));
  expect(told.filter(({ name }) => name !== 'ContentDelta')).toEqual([
    { name: 'MessageCreated', data: { context_id: 's', message_id: messageId, role: 'assistant' } },
    { name: 'MessageCreated', data: { context_id: 's', message_id: userMessageId, role: 'user' } },
    { name: 'MessageCompleted', data: { context_id: 's', message_id: messageId } },
    { name: 'TitleUpdated', data: { context_id: 's' } },
  ]);
});

test('S4-40 a tool call that waits for the user is told once, and a rename tells of the title', async () => {
  const { cwm, engine, told } = await telling();
  engine.toolCalls = [[{ id: 'c', name: 'book_room', arguments: '{}' }]];
  await cwm.createSession({ id: 's', title: 'Mine', tools: { policy: 'manual' } });
  const { pendingTools } = await cwm.send({ session: 's', text: 'Write.' }, never());
  expect(pendingTools?.calls).toHaveLength(1);
  const asked = () => told.filter(({ name }) => name === 'ToolCallRequested');
  expect(asked()).toEqual([{ name: 'ToolCallRequested', data: { context_id: 's', call_id: 'c', tool: 'book_room' } }]);
  await cwm.denyTools({ session: 's' }, never());
  expect(asked()).toHaveLength(1);
  expect(told.some(({ name }) => name === 'TitleUpdated')).toBe(false);
  await cwm.updateSession({ session: 's', title: 'Yours' }, never());
  expect(told.at(-1)).toEqual({ name: 'TitleUpdated', data: { context_id: 's' } });
});
