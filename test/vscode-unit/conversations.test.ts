import { describe, expect, test } from 'vitest';
import { CwmError } from '../../src/protocol/errors.ts';
import type { SendResult } from '../../src/protocol/schemas/turn.ts';
import type { Message } from '../../src/protocol/schemas/session.ts';
import { BackendConnection } from '../../src/vscode/connection/backendConnection.ts';
import { Conversations } from '../../src/vscode/documents/conversations.ts';
import { ViewState } from '../../src/vscode/state.ts';
import { aSession } from './builders.ts';
import { FakeBackend } from './fakeBackend.ts';
import type { Change } from '../../src/protocol/signals.ts';
import { messageId } from '../support/ids.ts';

const s = aSession({ id: 's', version: 5 });

const answered = (text: string, versions: { fromVersion?: number; version?: number } = {}): SendResult => ({
  session: s.id,
  text,
  messageId: messageId('m'),
  userMessageId: messageId('u'),
  promptTokens: 1,
  outputIds: [],
  cachedTokens: null,
  finishReason: 'stop',
  timeToFirstTokenMs: null,
  ms: 1,
  prefixBreak: null,
  notes: [],
  ...versions,
});

const aMessage = (sequence: number, role: Message['role'], text: string): Message => ({
  id: messageId(`m${sequence}`),
  role,
  parentId: null,
  sequence,
  content: { type: 'text', text },
  createdAt: '2026-11-20T10:00:00.000Z',
});

/** @param sent resolves when an answer arrives; what it holds was read before. */
async function conversationsWith(messages: Message[], sent: () => Promise<undefined> = async () => undefined) {
  const fail = (error: unknown): never => {
    throw error;
  };
  const backend = new FakeBackend({
    getSession: ({ session }) => aSession({ id: session }),
    listMessages: async ({ limit, offset }) => {
      const from = Number(offset ?? 0);
      const items = messages.slice(from, from + Number(limit));
      const answer = { items, total: messages.length, hasMore: from + items.length < messages.length };
      await sent();
      return answer;
    },
  });
  const connection = new BackendConnection(async () => backend, new ViewState(fail), fail);
  const conversations = new Conversations(connection, fail);
  await connection.open();
  const changed: string[] = [];
  conversations.onChange((session) => changed.push(session));
  return { backend, conversations, changed };
}

describe('a conversation as a document', () => {
  test('shows the sent text and the answer as it arrives, then the stored messages', async () => {
    const messages: Message[] = [];
    const { backend, conversations, changed } = await conversationsWith(messages);
    const work = Promise.withResolvers<SendResult>();
    let onText: (piece: string) => void = () => undefined;
    const sending = conversations.during(s, 'Why?', (hear) => {
      onText = hear;
      return work.promise;
    });
    await expect.poll(() => changed.length).toBe(1);
    expect(await conversations.text('s')).toContain('## You\n\nWhy?\n\n## Model\n\n…');

    onText('Be');
    onText('cause');
    expect(changed).toEqual(['s', 's', 's']);
    expect(await conversations.text('s')).toContain('Because …');

    messages.push(aMessage(1, 'user', 'Why?'), aMessage(2, 'assistant', 'Because of that.'));
    backend.emit({ type: 'session', session: 's' });
    work.resolve(answered('Because of that.'));
    await expect(sending).resolves.toMatchObject({ text: 'Because of that.' });
    const text = await conversations.text('s');
    expect(text).toContain('Because of that.');
    expect(text.match(/Why\?/g)).toHaveLength(1);
  });

  test('what could not be sent is not left standing as if it had been, and is offered again', async () => {
    const { conversations } = await conversationsWith([]);
    const sending = conversations.during(s, 'Why?', () => Promise.reject(new Error('engine down')));
    await expect(sending).rejects.toThrow('engine down');
    expect(await conversations.text('s')).not.toContain('Why?');
    // Nor is it lost, if the backend never heard it.
    expect(conversations.unsent('s')).toBe('Why?');
    await conversations.during(s, 'Why?', async () => answered('sent'));
    expect(conversations.unsent('s')).toBeUndefined();
  });

  test('a turn is added without another request, unless the session changed in other ways too', async () => {
    const { backend, conversations } = await conversationsWith([aMessage(1, 'user', 'one')]);
    const send = (fromVersion: number, meanwhile: Change[] = []) =>
      conversations.during(s, 'Why?', async () => {
        for (const change of meanwhile) backend.emit(change);
        return answered('Because.', { fromVersion, version: fromVersion + 2 });
      });
    const changedTo = (version?: number): Change => ({ type: 'session', session: s.id, ...(version && { version }) });
    const fetches = () => backend.count('listMessages');
    await send(5, [changedTo(6), changedTo(7)]);
    expect(await conversations.text('s')).toContain('## You\n\nWhy?\n\n## Model\n\nBecause.');
    await send(7, [changedTo(8), changedTo(9)]);
    backend.emit(changedTo(9));
    await conversations.text('s');
    expect([fetches(), backend.count('getSession')]).toEqual([1, 0]);
    for (const [fromVersion, meanwhile] of [
      [10, []],
      [9, [changedTo(12)]],
      [9, [changedTo()]],
    ] as const) {
      const before = fetches();
      await send(fromVersion, [...meanwhile]);
      expect(await conversations.text('s')).not.toContain('Because.');
      expect(fetches()).toBe(before + 1);
    }
  });

  test('a signal of the session fetches its messages again', async () => {
    const messages = [aMessage(1, 'user', 'one')];
    const { backend, conversations, changed } = await conversationsWith(messages);
    expect(await conversations.text('s')).toContain('one');
    messages.push(aMessage(2, 'assistant', 'two'));
    backend.emit({ type: 'session', session: 's' });
    expect(changed).toEqual(['s']);
    expect(await conversations.text('s')).toContain('two');
  });

  test.for(['resync', 'session'] as const)('a text that could not be had is asked for anew after: %s', async (type) => {
    const messages = [aMessage(1, 'user', 'one')];
    let isGone = true;
    const { backend, conversations, changed } = await conversationsWith(messages, async () => {
      if (isGone) throw new CwmError('BackendUnavailable', 'The backend has ended.');
      return undefined;
    });
    await expect(conversations.text('s')).rejects.toThrow('ended');
    isGone = false;
    backend.emit(type === 'resync' ? { type } : { type, session: 's' });
    expect(changed).toContain('s');
    expect(await conversations.text('s')).toContain('one');
  });

  test('what another client sends while the messages are being fetched is not missed', async () => {
    const late = Promise.withResolvers<undefined>();
    const messages = [aMessage(1, 'user', 'one')];
    const { backend, conversations } = await conversationsWith(messages, () => late.promise);
    const shown = conversations.text('s');
    await expect.poll(() => backend.count('listMessages')).toBe(1);
    messages.push(aMessage(2, 'assistant', 'two'));
    backend.emit({ type: 'session', session: 's' });
    late.resolve(undefined);
    expect(await shown).toContain('two');
    expect(await conversations.text('s')).toContain('two');
  });

  test('of a long conversation the end is shown, and how much is missing before it', async () => {
    const messages = Array.from({ length: 130 }, (_, index) => aMessage(index + 1, 'user', `text ${index + 1}.`));
    const { conversations } = await conversationsWith(messages);
    const text = await conversations.text('s');
    expect(text).toContain('30 earlier messages are not shown');
    expect(text).toContain('text 130.');
    expect(text).not.toContain('text 30.');
  });

  test('S4-21 an answer that another client asked for is pulled piece by piece, until it is stored', async () => {
    const stored = [aMessage(1, 'user', 'Why?')];
    const chunks = ['Be', 'cause'];
    const answering = {
      ...aSession({ id: 's', phase: 'StreamingLLMResponse', draft: 'And?' }),
      answering: messageId('m3'),
    };
    let isOver = false;
    const asked: unknown[] = [];
    const fail = (error: unknown): never => {
      throw error;
    };
    const backend = new FakeBackend({
      getSession: () => (isOver ? aSession({ id: 's', version: 9 }) : answering),
      listMessages: () => ({ items: stored, total: stored.length, hasMore: false }),
      answerChunks: ({ after }) => {
        asked.push(after);
        const items = chunks
          .slice(Number(after))
          .map((text, at) => ({ sequence: Number(after) + at + 1, part: 'text' as const, text }));
        return {
          items,
          last: chunks.length,
          hasMore: false,
          message: isOver ? aMessage(3, 'assistant', 'Because.') : null,
        };
      },
    });
    const connection = new BackendConnection(async () => backend, new ViewState(fail), fail);
    const conversations = new Conversations(connection, fail);
    await connection.open();
    await conversations.read('s');
    await expect.poll(async () => (await conversations.read('s')).inProgress?.answer).toBe('Because');
    expect((await conversations.read('s')).inProgress).toMatchObject({ text: 'And?' });
    isOver = true;
    stored.push(aMessage(2, 'user', 'And?'), aMessage(3, 'assistant', 'Because.'));
    await expect.poll(async () => (await conversations.read('s')).inProgress).toBeNull();
    expect((await conversations.read('s')).messages).toHaveLength(3);
    // No piece crosses twice.
    expect(asked.slice(0, 2)).toEqual([0, 2]);
    conversations.dispose();
  });

  test('earlier messages are loaded when the reader asks for them', async () => {
    const messages = Array.from({ length: 130 }, (_, index) => aMessage(index + 1, 'user', `text ${index + 1}.`));
    const { conversations } = await conversationsWith(messages);
    expect(await conversations.read('s')).toMatchObject({ earlier: 30, inProgress: null });
    conversations.showEarlier('s');
    const { earlier, messages: all } = await conversations.read('s');
    expect([earlier, all.length]).toEqual([0, 130]);
  });
});
