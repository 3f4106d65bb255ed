import { describe, expect, test } from 'vitest';
import { MessageIndex } from '../../src/store/index/messageIndex.ts';
import { loadSqlJs } from '../../src/store/index/sqlJs.ts';
import { messageId, sessionId } from '../support/ids.ts';
import { aMessage } from './builders.ts';

async function indexOf(texts: readonly string[]): Promise<MessageIndex> {
  const index = MessageIndex.empty(await loadSqlJs(null));
  const messages = texts.map((text, at) => aMessage(`m${at + 1}`, at + 1, text));
  index.put(
    { id: sessionId('s'), project: null, stamp: '' },
    messages.map(({ id }) => id),
    messages,
  );
  return index;
}
const session = sessionId('s');

describe('vectors beside the search index', () => {
  test('S1-55 those that miss are told, and what was kept is found by the angle, best first', async () => {
    const index = await indexOf(['one', ' ', 'three']);
    expect(index.unembedded(session, 'm', 9)).toEqual([
      { message: 'm1', text: 'one' },
      { message: 'm3', text: 'three' },
    ]);
    index.keepVectors('m', [
      {
        message: messageId('m1'),
        vectors: [
          [1, 0, 0],
          [0, 5, 0],
        ],
      },
      { message: messageId('m3'), vectors: [[0.1, 0.1, 0.9]] },
    ]);
    expect(index.unembedded(session, 'm', 9)).toEqual([]);
    expect(index.unembedded(session, 'another', 9)).toHaveLength(2);
    const near = index.near({ model: 'm', vector: [0, 0.2, 0], session, limit: 5 });
    expect(near.map(({ message, sequence }) => [message, sequence])).toEqual([
      ['m1', 1],
      ['m3', 3],
    ]);
    expect(near[0]?.similarity).toBeCloseTo(1);
    expect(index.near({ model: 'another', vector: [0, 1, 0], session, limit: 5 })).toEqual([]);
    expect(index.near({ model: 'm', vector: [0, 1, 0], session: sessionId('other'), limit: 5 })).toEqual([]);
    expect(index.near({ model: 'm', vector: [0, 1], session, limit: 1 })[0]?.similarity).toBe(0);
  });

  test('they are in the image, and leave with their message', async () => {
    const index = await indexOf(['one', 'two']);
    index.keepVectors('m', [{ message: messageId('m1'), vectors: [[1, 2]] }]);
    const again = MessageIndex.fromImage(await loadSqlJs(null), index.image())!;
    expect(again.near({ model: 'm', vector: [1, 2], limit: 5 })).toHaveLength(1);
    again.remove(session);
    expect(again.near({ model: 'm', vector: [1, 2], limit: 5 })).toEqual([]);
  });
});
