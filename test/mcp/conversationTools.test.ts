import { expect, test } from 'vitest';
import type { Message } from '../../src/protocol/schemas/session.ts';
import { messageId } from '../support/ids.ts';
import { aSession } from '../vscode-unit/builders.ts';
import { FakeBackend } from './support/fakeBackend.ts';
import { openClient } from './support/openClient.ts';

const contents = [
  { type: 'plan', text: '1. Read.' },
  { type: 'context', files: [{ path: 'a.ts', text: 'let a;' }] },
  { type: 'tool-calls', text: '', calls: [{ id: 'c1', name: 'read', arguments: '{}' }] },
  { type: 'unknown', kind: 'hologram', whole: {} },
] as unknown as readonly Message['content'][];
const items = contents.map((content, at) => ({
  id: messageId(`m${at + 1}`),
  role: 'assistant' as const,
  parentId: null,
  sequence: at + 1,
  content,
  createdAt: '2026-11-20T10:00:00.000Z',
}));

test('an agent reads messages of every kind as text', async () => {
  const backend = new FakeBackend({ listMessages: () => ({ items, total: 4, hasMore: false }) });
  const client = await openClient({ era: 'modern', backend });
  const { structuredContent } = await client.call('conversation_read', { session_id: 's' });
  const texts = ((structuredContent?.['messages'] ?? []) as { text: string }[]).map(({ text }) => text);
  expect(texts.slice(0, 3)).toEqual(['1. Read.', 'Files: a.ts', 'read {}']);
  expect(texts[3]).toContain('"hologram"');
});

test('an agent finds messages by their words, and lists, makes and switches branches', async () => {
  const session = aSession({ id: 's' });
  const backend = new FakeBackend({
    searchMessages: () =>
      ({
        items: [
          {
            message: 'm1',
            session: 's',
            title: 'T',
            role: 'user',
            excerpt: { text: 'the barn' },
            createdAt: '2026-11-20T10:00:00.000Z',
          },
        ],
        total: 1,
        hasMore: false,
      }) as never,
    listBranches: () =>
      ({ items: [{ name: 'main', active: true, length: 2, tokens: 40, sharedTokens: 32, sharedWith: null }] }) as never,
    createBranch: () => session,
    updateBranch: () => session,
  });
  const client = await openClient({ era: 'modern', backend });
  const found = await client.call('conversation_search', { text: 'barn' });
  expect(found.structuredContent).toMatchObject({
    matches: [{ message_id: 'm1', session_id: 's', excerpt: 'the barn' }],
  });
  const { structuredContent } = await client.call('branch_list', { session_id: 's' });
  expect(structuredContent).toMatchObject({ branches: [{ name: 'main', token_count: 40, shared_tokens: 32 }] });
  await client.call('branch_create', { session_id: 's', name: 'side' });
  await client.call('branch_switch', { session_id: 's', branch: 'main' });
  expect(backend.calls.slice(-2).map(({ name }) => name)).toEqual(['createBranch', 'updateBranch']);
});
