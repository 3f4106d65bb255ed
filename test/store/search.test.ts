import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mapBounded } from '../../src/base/mapBounded.ts';
import type { FoundMessage, MessageQuery } from '../../src/core/ports/search.ts';
import type { FileStore } from '../../src/store/fileStore.ts';
import { diskFiles, type Files } from '../../src/store/disk/files.ts';
import { searchExpression } from '../../src/store/index/searchWords.ts';
import { excerptOf } from '../../src/store/index/excerpt.ts';
import { aMessage, aSession, projectUri, sessionId } from './builders.ts';
import { openTestStore, temporaryDirectory } from './testStore.ts';
import { fc } from '../support/fc.ts';

const find = async (store: FileStore, text: string, more: Partial<MessageQuery> = {}): Promise<FoundMessage[]> => [
  ...(await store.search.messages({ text, limit: 50, offset: 0, ...more })).items,
];
const idsOf = async (store: FileStore, text: string, more: Partial<MessageQuery> = {}): Promise<string[]> =>
  (await find(store, text, more)).map(({ message }) => message);

async function withMessages(store: FileStore, id: string, texts: Readonly<Record<string, string>>): Promise<void> {
  await store.sessions.create(aSession({ id }));
  await store.messages.append(
    sessionId(id),
    Object.entries(texts).map(([message, text], at) => aMessage(message, at + 1, text)),
  );
}

describe('search for what was said', () => {
  it('finds the messages that hold all words, in any order, and the last word from its beginning on', async () => {
    const store = await openTestStore(await temporaryDirectory());
    await withMessages(store, 's', {
      one: 'The lighthouse keeper counts ships.',
      two: 'A ship without a lighthouse.',
      three: 'Nothing of that.',
    });
    expect(await idsOf(store, 'lighthouse')).toHaveLength(2);
    expect(await idsOf(store, 'ships lighthouse')).toEqual(['one']);
    expect((await idsOf(store, 'lighthouse ship')).sort()).toEqual(['one', 'two']);
    expect(await idsOf(store, 'light ships')).toEqual([]);
    expect(await idsOf(store, '"keeper counts"')).toEqual(['one']);
    expect(await idsOf(store, '"counts keeper"')).toEqual([]);
    expect(await idsOf(store, 'LIGHTHOUSE Keeper')).toEqual(['one']);
  });

  it('finds words of languages that write no spaces, and words without their accents', async () => {
    const store = await openTestStore(await temporaryDirectory());
    await withMessages(store, 's', { chinese: '我们在北京大学学习计算机科学。', french: 'Un été à la bibliothèque' });
    expect(await idsOf(store, '北京大学')).toEqual(['chinese']);
    expect(await idsOf(store, '计算机')).toEqual(['chinese']);
    expect(await idsOf(store, 'bibliotheque ete')).toEqual(['french']);
  });

  it('puts the message first that says the words more often and says less besides', async () => {
    const store = await openTestStore(await temporaryDirectory());
    await withMessages(store, 's', {
      long: `cache ${'and much more about other things '.repeat(20)}`,
      short: 'The cache, the whole cache.',
      other: 'Something else.',
    });
    expect(await idsOf(store, 'cache')).toEqual(['short', 'long']);
  });

  it('finds a message as soon as it is stored, and no longer when its session is in the trash', async () => {
    const store = await openTestStore(await temporaryDirectory());
    await withMessages(store, 's', { one: 'first words' });
    expect(await idsOf(store, 'words')).toEqual(['one']);
    await store.messages.append(sessionId('s'), [aMessage('m2', 2, 'other words')]);
    expect((await idsOf(store, 'words')).sort()).toEqual(['m2', 'one']);
    await store.sessions.delete(sessionId('s'));
    expect(await idsOf(store, 'words')).toEqual([]);
    const [item] = await store.trash.list();
    await store.trash.restore(item!.id);
    expect(await idsOf(store, 'words')).toHaveLength(2);
  });

  it('finds a message of several sessions once, and names all of them', async () => {
    const store = await openTestStore(await temporaryDirectory());
    await withMessages(store, 's', { one: 'shared words' });
    await store.sessions.create(aSession({ id: 't' }), {
      from: sessionId('s'),
      messageIds: [aMessage('one', 1).id],
      tokenIds: null,
    });
    const [found, ...others] = await find(store, 'shared');
    expect(found?.sessions.toSorted()).toEqual(['s', 't']);
    expect(others).toEqual([]);
    await store.sessions.delete(sessionId('s'));
    expect((await find(store, 'shared'))[0]?.sessions).toEqual(['t']);
  });

  it('looks into one project or one session alone', async () => {
    const store = await openTestStore(await temporaryDirectory());
    const project = projectUri('file:///home/a');
    await store.sessions.create(aSession({ id: 'a', project }));
    await store.messages.append(sessionId('a'), [aMessage('of-a', 1, 'the same words')]);
    await withMessages(store, 'b', { 'of-b': 'the same words' });
    expect(await idsOf(store, 'words', { project })).toEqual(['of-a']);
    expect(await idsOf(store, 'words', { session: sessionId('b') })).toEqual(['of-b']);
  });

  it('pages, and counts what there is in all', async () => {
    const store = await openTestStore(await temporaryDirectory());
    await withMessages(store, 's', Object.fromEntries(Array.from({ length: 7 }, (_, at) => [`n${at}`, 'word'])));
    const page = await store.search.messages({ text: 'word', limit: 3, offset: 6 });
    expect(page.items).toHaveLength(1);
    expect(page.total).toBe(7);
  });

  describe('its image on disk', () => {
    it('saves the next start from reading the messages again', async () => {
      const directory = await temporaryDirectory();
      const store = await openTestStore(directory);
      await withMessages(store, 's', { one: 'first words' });
      await idsOf(store, 'words');
      await store.close();
      const read: string[] = [];
      const files: Files = {
        ...diskFiles,
        read: (path) => {
          read.push(path);
          return diskFiles.read(path);
        },
        stat: async (path) => {
          const stat = await diskFiles.stat(path);
          return stat && { ...stat, isSettled: true };
        },
      };
      const settled = await openTestStore(directory, { files });
      expect(await idsOf(settled, 'words')).toEqual(['one']);
      await settled.close();
      read.length = 0;
      expect(await idsOf(await openTestStore(directory, { files }), 'words')).toEqual(['one']);
      expect(read.filter((path) => path.includes('/messages/'))).toEqual([]);
    });

    const damages: Record<string, (image: string) => Promise<void>> = {
      missing: (image) => rm(image),
      empty: (image) => writeFile(image, ''),
      'cut short': async (image) => writeFile(image, (await readFile(image)).subarray(0, 5000)),
      'a flipped bit': async (image) => {
        const bytes = await readFile(image);
        bytes[bytes.length >> 1]! ^= 1;
        await writeFile(image, bytes);
      },
    };
    for (const [damage, make] of Object.entries(damages)) {
      it(`is rebuilt from the messages when it is ${damage}`, async () => {
        const directory = await temporaryDirectory();
        const store = await openTestStore(directory);
        await withMessages(store, 's', { one: 'first words' });
        await idsOf(store, 'words');
        await store.close();
        await make(join(directory, 'search.sqlite'));
        expect(await idsOf(await openTestStore(directory), 'words')).toEqual(['one']);
      });
    }

    it('retains no word of a session that is gone', async () => {
      const directory = await temporaryDirectory();
      const store = await openTestStore(directory);
      await withMessages(store, 's', { one: 'a peculiarword was said' });
      await withMessages(store, 't', { two: 'and another' });
      await idsOf(store, 'another');
      await store.sessions.delete(sessionId('s'));
      await idsOf(store, 'another');
      await store.close();
      const image = (await readFile(join(directory, 'search.sqlite'))).toString('latin1');
      expect(image).toContain('another');
      expect(image).not.toContain('peculiarword');
    });
  });

  it('retains no word of a session that was deleted for good after the last search', async () => {
    const directory = await temporaryDirectory();
    const store = await openTestStore(directory);
    await withMessages(store, 's', { one: 'a peculiarword was said' });
    await withMessages(store, 't', { two: 'and another' });
    await idsOf(store, 'another');
    await store.close();
    const again = await openTestStore(directory);
    await again.sessions.delete(sessionId('s'));
    await again.trash.empty('all');
    const image = async (): Promise<string> =>
      (await readFile(join(directory, 'search.sqlite')).catch(() => Buffer.alloc(0))).toString('latin1');
    expect(await image()).not.toContain('peculiarword');
    await again.close();
    expect(await image()).not.toContain('peculiarword');
  });

  it('misses no change that is made while the index is loaded', async () => {
    const directory = await temporaryDirectory();
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    let isLoading = false;
    const files: Files = {
      ...diskFiles,
      stat: async (path) => {
        const stat = await diskFiles.stat(path);
        if (isLoading && path.endsWith('/t/messages')) {
          begun.resolve();
          await gate.promise;
        }
        return stat;
      },
    };
    const store = await openTestStore(directory, { files });
    await withMessages(store, 's', { one: 'words of s' });
    await withMessages(store, 't', { two: 'words of t' });
    isLoading = true;
    const first = idsOf(store, 'words');
    await begun.promise;
    isLoading = false;
    await store.sessions.delete(sessionId('s'));
    gate.resolve();
    await first;
    expect(await idsOf(store, 'words')).toEqual(['two']);
  });

  it('finds the other messages of a session when one is damaged', async () => {
    const directory = await temporaryDirectory();
    const store = await openTestStore(directory);
    await withMessages(store, 's', { one: 'first words', m2: 'other words' });
    await writeFile(join(directory, 'contexts/s/messages/one.json'), 'nonsense');
    expect(await idsOf(store, 'words')).toEqual(['m2']);
  });

  it('whatever is typed is searched for as words, never as an expression of its own', async () => {
    const store = await openTestStore(await temporaryDirectory());
    await withMessages(store, 's', { one: 'NOT all OR nothing NEAR here AND there' });
    expect(await idsOf(store, 'not or near')).toEqual(['one']);
    expect(await idsOf(store, 'there*) OR (text:')).toEqual([]);
    const typed = fc.string({
      unit: fc.constantFrom('"', '*', '(', ')', ' ', '-', ':', '^', 'a', 'ä', '北', '\0', 'OR'),
    });
    const all: string[] = [];
    fc.assert(
      fc.property(typed, (text) => void all.push(text)),
      { numRuns: 200 },
    );
    await mapBounded(all, 1, (text) => find(store, text));
    expect(searchExpression('*** ""')).toBeNull();
  });
});

describe('the excerpt of a found message', () => {
  it('is on one line, begins near the first word, and marks every word', () => {
    const text = `${'filler '.repeat(30)}\nthe needle\n${'filler '.repeat(30)}needles`;
    const { text: excerpt, matches } = excerptOf(text, ['needle']);
    expect(excerpt).toMatch(/^…(filler )+the needle (filler )+.*…$/);
    expect(excerpt.length).toBeLessThan(170);
    expect(matches.map(([begin, end]) => excerpt.slice(begin, end))).toEqual(['needle']);
  });

  it('is the beginning where no word is found in it', () => {
    expect(excerptOf('short', ['other'])).toEqual({ text: 'short', matches: [] });
  });
});
