import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { VectorModel } from '../../src/core/ports/search.ts';
import { diskFiles, type Files } from '../../src/store/disk/files.ts';
import type { FileStore } from '../../src/store/fileStore.ts';
import type { StoreOptions } from '../../src/store/openStore.ts';
import { MessageIndex } from '../../src/store/index/messageIndex.ts';
import { loadSqlJs } from '../../src/store/index/sqlJs.ts';
import { messageId, sessionId } from '../support/ids.ts';
import { aMessage, aSession } from './builders.ts';
import { openTestStore, temporaryDirectory } from './testStore.ts';

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

/** @param at models with different ones are different. */
const model = (at: number, name = 'm'): VectorModel => ({
  name,
  fingerprint: [0, 1, 2, 3, 4].map((each) => (each === at ? 1 : 0)),
});
const m = model(0);
const least = { leastSimilarity: -1 };

describe('vectors beside the search index', () => {
  test('S1-55 those that miss are told, and what was kept is found by the angle, best first', async () => {
    const index = await indexOf(['one', ' \n\t\u00a0', 'three']);
    expect(index.unembedded(session, m, 9)).toEqual([
      { message: 'm1', text: 'one' },
      { message: 'm3', text: 'three' },
    ]);
    index.keepVectors(m, [
      {
        message: messageId('m1'),
        vectors: [
          [1, 0, 0],
          [0, 5, 0],
        ],
      },
      { message: messageId('m3'), vectors: [[0.1, 0.1, 0.9]] },
    ]);
    expect(index.unembedded(session, m, 9)).toEqual([]);
    expect(index.unembedded(session, model(1), 9)).toHaveLength(2);
    const near = index.near({ model: m, vector: [0, 0.2, 0], ...least, session, limit: 5 });
    expect(near.map(({ message, sequence }) => [message, sequence])).toEqual([
      ['m1', 1],
      ['m3', 3],
    ]);
    expect(near[0]?.similarity).toBeCloseTo(1);
    expect(index.near({ model: m, vector: [0, 0.2, 0], leastSimilarity: 0.5, session, limit: 5 })).toHaveLength(1);
    expect(index.near({ model: m, vector: [0, 1, 0], ...least, session: sessionId('other'), limit: 5 })).toEqual([]);
    expect(index.near({ model: m, vector: [0, 1], leastSimilarity: 0, session, limit: 1 })).toEqual([]);
  });

  test('models are told apart by what they make of one text, whatever they are called', async () => {
    const index = await indexOf(['one']);
    index.keepVectors(m, [{ message: messageId('m1'), vectors: [[1, 2]] }]);
    const near = (model: VectorModel) => index.near({ model, vector: [1, 2], ...least, limit: 5 });
    expect(near(model(1))).toEqual([]);
    expect(near({ name: 'renamed', fingerprint: [0.2, 0.001, 0, 0, 0] })).toHaveLength(1);
    expect(near({ name: 'm', fingerprint: [1, 0] })).toEqual([]);
    // Of more than four models, those that were used last keep their vectors.
    for (const at of [1, 2, 3]) index.keepVectors(model(at), [{ message: messageId('m1'), vectors: [[1, 2]] }]);
    expect(near(m)).toHaveLength(1);
    index.keepVectors(model(4), [{ message: messageId('m1'), vectors: [[1, 2]] }]);
    expect([near(m), near(model(1)), near(model(4))].map(({ length }) => length)).toEqual([1, 0, 1]);
  });

  test('a message of which the model takes nothing is not asked for again, and is near to nothing', async () => {
    const index = await indexOf(['one', 'two']);
    index.keepVectors(m, [
      { message: messageId('m1'), vectors: [] },
      { message: messageId('m2'), vectors: [[1, 2]] },
    ]);
    expect(index.unembedded(session, m, 9)).toEqual([]);
    expect(index.near({ model: m, vector: [1, 2], ...least, limit: 5 })).toMatchObject([{ message: 'm2' }]);
    expect(index.vectorCounts(session, m)).toEqual({ messages: 1, embedded: 1 });
    expect(index.vectorCounts(session, model(1))).toEqual({ messages: 2, embedded: 0 });
  });

  test('they are in the image, leave with their message, and nothing of them stays readable', async () => {
    const index = await indexOf(['one', 'two']);
    const marked = [...Buffer.from('PECULIAR')];
    index.keepVectors(m, [{ message: messageId('m1'), vectors: [[127, ...marked]] }]);
    const bytes = (of: MessageIndex): string => Buffer.from(of.image()).toString('latin1');
    expect(bytes(index)).toContain('PECULIAR');
    const again = MessageIndex.fromImage(await loadSqlJs(null), index.image())!;
    expect(again.near({ model: m, vector: [127, ...marked], ...least, limit: 5 })).toHaveLength(1);
    // An index that was saved goes on as before.
    again.image();
    again.remove(session);
    expect(again.near({ model: m, vector: [127, ...marked], ...least, limit: 5 })).toEqual([]);
    expect(bytes(again)).not.toContain('PECULIAR');
  });
});

describe('vectors of a store', () => {
  const marked = [...Buffer.from('PECULIAR')];
  const vector = [127, ...marked];
  const near = (store: FileStore) => store.search.near({ model: m, vector, ...least, limit: 5 });
  const imageOf = async (directory: string): Promise<string> =>
    (await readFile(join(directory, 'search.sqlite')).catch(() => Buffer.alloc(0))).toString('latin1');

  async function embedded(directory: string, options: Partial<StoreOptions> = {}, count = 1): Promise<FileStore> {
    const store = await openTestStore(directory, options);
    await store.sessions.create(aSession({ id: 's' }));
    const messages = Array.from({ length: count }, (_, at) => aMessage(`m${at + 1}`, at + 1, `text ${at}`));
    await store.messages.append(session, messages);
    await store.search.keepVectors(
      m,
      messages.map(({ id }) => ({ message: id, vectors: [vector] })),
    );
    return store;
  }

  test('S1-55 they are there after a restart', async () => {
    const directory = await temporaryDirectory();
    await (await embedded(directory)).close();
    const again = await openTestStore(directory);
    expect(await near(again)).toHaveLength(1);
    expect(await again.search.unembedded(session, m, 9)).toEqual([]);
  });

  test('a process that dies loses those of some hundred messages at most', async () => {
    const directory = await temporaryDirectory();
    await embedded(directory, {}, 600);
    const copy = await temporaryDirectory();
    await cp(directory, copy, { recursive: true, filter: (path) => !path.endsWith('.lock') });
    expect(await near(await openTestStore(copy))).toHaveLength(5);
  });

  test('a disk that takes no image is tried once, not with each further batch, and once more at the end', async () => {
    let tries = 0;
    const files: Files = {
      ...diskFiles,
      rename: async (from, to) => {
        if (!to.endsWith('search.sqlite')) return diskFiles.rename(from, to);
        tries++;
        throw Object.assign(new Error('full'), { code: 'ENOSPC' });
      },
    };
    const store = await embedded(await temporaryDirectory(), { files }, 600);
    const again = Array.from({ length: 600 }, (_, at) => ({ message: messageId(`m${at + 1}`), vectors: [vector] }));
    await store.search.keepVectors(m, again);
    expect(tries).toBe(1);
    await store.close();
    expect(tries).toBe(2);
  });

  test('where their file is damaged, they are made again, and nothing else is lost', async () => {
    const directory = await temporaryDirectory();
    await (await embedded(directory)).close();
    const image = join(directory, 'search.sqlite');
    const bytes = await readFile(image);
    bytes[bytes.indexOf('PECULIAR')]! ^= 1;
    await writeFile(image, bytes);
    const again = await openTestStore(directory);
    expect(await near(again)).toEqual([]);
    expect(await again.search.unembedded(session, m, 9)).toEqual([{ message: 'm1', text: 'text 0' }]);
  });

  test('none of a session that is in the trash is found, and none of one that is gone for good stays on the disk', async () => {
    const directory = await temporaryDirectory();
    await (await embedded(directory)).close();
    expect(await imageOf(directory)).toContain('PECULIAR');
    const again = await openTestStore(directory);
    await again.sessions.delete(session);
    expect(await near(again)).toEqual([]);
    await again.trash.empty('all');
    expect(await imageOf(directory)).not.toContain('PECULIAR');
    await again.close();
    expect(await imageOf(directory)).not.toContain('PECULIAR');
  });

  test('an encrypted store has them encrypted', async () => {
    const directory = await temporaryDirectory();
    const keyFile = join(await temporaryDirectory(), 'key');
    await (await embedded(directory, { encryption: { turn: 'on', keyFile } })).close();
    expect(await imageOf(directory)).not.toMatch(/PECULIAR|SQLite format/);
    expect(await near(await openTestStore(directory, { encryption: { turn: 'on', keyFile } }))).toHaveLength(1);
  });
});
