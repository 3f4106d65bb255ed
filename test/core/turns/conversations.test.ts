import { expect, it } from 'vitest';
import type { MessageStore } from '../../../src/core/ports/messages.ts';
import { Conversations } from '../../../src/core/turns/conversations.ts';
import { aMessage, aSession, mainBranch, messageId } from '../../store/builders.ts';

it('N5 the hundred conversations that had a turn last are in memory, and another one is read again', async () => {
  const asked: string[] = [];
  const store = {
    chain: async (id) => {
      asked.push(id);
      return [messageId('m1')];
    },
    load: async () => [aMessage('m1', 1)],
  } satisfies Pick<MessageStore, 'chain' | 'load'>;
  const conversations = new Conversations(store as Partial<MessageStore> as MessageStore);
  const sessions = Array.from({ length: 101 }, (_, at) => aSession({ id: `s-${at}`, branches: mainBranch(['m1']) }));
  for (const session of sessions) expect(await conversations.of(session)).toEqual([aMessage('m1', 1)]);
  asked.length = 0;
  for (const at of [1, 100, 0, 1]) expect(await conversations.of(sessions[at]!)).toEqual([aMessage('m1', 1)]);
  expect(asked).toEqual(['s-0', 's-1']);
});
