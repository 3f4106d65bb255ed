import { aTokenUsage, aUsage } from '../support/aUsage.ts';
import { describe, expect, test } from 'vitest';
import { BackendConnection } from '../../src/vscode/connection/backendConnection.ts';
import { Conversations } from '../../src/vscode/documents/conversations.ts';
import { documentTexts } from '../../src/vscode/documents/documentTexts.ts';
import { ViewState } from '../../src/vscode/state.ts';
import type { Message } from '../../src/protocol/schemas/session.ts';
import { messageId } from '../support/ids.ts';
import { aReceipt, aSession, aWindow } from './builders.ts';
import { FakeBackend, healthAnswer } from './fakeBackend.ts';

const aMessage = (sequence: number): Message => ({
  id: messageId(`m${sequence}`),
  role: 'user',
  parentId: null,
  sequence,
  content: { type: 'text', text: `Message ${sequence}.` },
  createdAt: '2026-11-20T10:00:00.000Z',
});
const stored = Array.from({ length: 45 }, (_, at) => aMessage(at + 1));

/** A backend with a session of 45 messages. */
function textsOn(more: ConstructorParameters<typeof FakeBackend>[0] = {}) {
  const backend = new FakeBackend({
    getSession: () => aSession({ id: 's', title: 'A talk' }),
    getWindow: () => ({ window: aWindow(), receipts: [aReceipt()] }) as never,
    listMessages: (input) => {
      const { upTo, offset, limit } = input as { upTo: string; offset?: number; limit: number };
      const until = stored.slice(0, stored.findIndex(({ id }) => id === upTo) + 1);
      return { items: until.slice(offset ?? 0, (offset ?? 0) + limit), total: until.length, hasMore: false };
    },
    health: () => healthAnswer,
    encryption: () => ({ state: 'off' }) as never,
    usage: () => aUsage(),
    tokenUsage: ({ by = 'model' }) => aTokenUsage({ by }),
    ...more,
  });
  const fail = (error: unknown): never => {
    throw error;
  };
  const state = new ViewState(fail);
  const connection = new BackendConnection(async () => backend, state, fail);
  const reports = { doctor: null, verification: null, change: null };
  const texts = documentTexts(connection, state, new Conversations(connection, fail), reports);
  return { backend, connection, texts };
}

describe('the text of a document', () => {
  test('of a message that was found: the twenty messages that lead to it, and how many came before', async () => {
    const { texts } = textsOn();
    const late = await texts.found('s/m40');
    expect(late).toContain('*20 earlier messages are not shown.*');
    expect(late.match(/Message \d+/g)?.at(0)).toBe('Message 21');
    expect(late.match(/Message \d+/g)?.at(-1)).toBe('Message 40');
    const early = await texts.found('s/m3');
    expect(early).not.toContain('earlier messages');
    expect(early.match(/Message \d+/g)).toEqual(['Message 1', 'Message 2', 'Message 3']);
  });

  test('of a result that a restart of the editor took: how to get it again', async () => {
    const { texts } = textsOn();
    expect(await texts.doctor('')).toBe('Run "Context Windows: Doctor" to see this again.\n');
    expect(await texts.verification('')).toBe('Run "Context Windows: Verify" to see this again.\n');
  });

  test('of the status asks the backend only where one is connected, and starts none', async () => {
    const { backend, connection, texts } = textsOn();
    await texts.status('');
    expect(backend.asked).toEqual([]);
    await connection.open();
    await texts.status('');
    expect(backend.asked.map(({ route }) => route)).toEqual(['health', 'encryption']);
  });

  test('S1-35 of the usage has the tokens by model, by client, by day and by session, and the disk space', async () => {
    const text = await textsOn().texts.usage('');
    const heads = Array.from(text.matchAll(/^\| (\w+) \| Requests/gm), ([, head]) => head);
    expect(heads).toEqual(['Model', 'Client', 'Day', 'Session']);
    expect(text).toContain('| Total | 16.1 MB |');
  });

  test('of a branch and of a window, for a comparison, is what was said alone, page after page', async () => {
    const branches = { side: { head: messageId('m3'), length: 3 } };
    const { texts } = textsOn({
      getSession: () => ({ ...aSession({ id: 's' }), branches }) as never,
      getWindow: () => ({ manifest: { session: 's', messageIds: [messageId('m1'), messageId('m2')] } }) as never,
    });
    expect(await texts.branch('s/side')).toMatch(/^## You\n\nMessage 1\.[^]*Message 3\.\n$/);
    expect(await texts.branch('s/gone')).toBe('*There are no messages yet.*\n');
    expect(await texts.window('w')).toMatch(/Message 2\.\n$/);
    expect(await texts.change('before')).toBe('Run "Context Windows: Connect a Client…" to see this again.\n');
  });

  test('of a conversation is the whole conversation', async () => {
    const { texts } = textsOn();
    expect(await texts.conversation('s')).toContain('# A talk');
  });
});
