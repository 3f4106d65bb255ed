import { beforeEach, describe, expect, it } from 'vitest';
import type { AnswerBatch, BegunAnswer } from '../../src/core/ports/answerLog.ts';
import type { Files } from '../../src/store/disk/files.ts';
import type { FileStore } from '../../src/store/fileStore.ts';
import { range } from '../support/range.ts';
import { aMessage, aSession, messageId, sessionId } from './builders.ts';
import { MemoryFiles } from './memoryFiles.ts';
import { openTestStore } from './testStore.ts';

const path = '/store/answers.jsonl';
const [one, two] = [sessionId('s1'), sessionId('s2')];
const answer = { ...aMessage('m2', 2, ''), role: 'assistant' as const };

const begun = (session = one): BegunAnswer => ({ session, version: 3, question: aMessage('m1', 1), answer, given: 0 });
const text = (words: string): AnswerBatch['chunks'][number] => ({ part: 'text', text: words });
const first = (session = one): AnswerBatch => ({
  session,
  answer: answer.id,
  from: 1,
  chunks: [text('Because '), text('air ')],
  ids: [70_000, 5],
  begun: begun(session),
  prompt: { shared: 4, ids: [1, 2] },
});
const next = (from: number, words: string, session = one): AnswerBatch => ({
  session,
  answer: answer.id,
  from,
  chunks: [text(words)],
  ids: [from],
});

describe('the log of answers', () => {
  let memory: MemoryFiles;
  let store: FileStore;
  /** What the disk does before it appends. */
  let beforeAppend: () => Promise<void>;
  let appends: number;
  let removing: Error | null;
  const open = async (): Promise<void> => {
    const files: Files = Object.assign(Object.create(memory) as Files, {
      append: async (to: string, bytes: Uint8Array) => {
        if (to === path) {
          appends++;
          await beforeAppend();
        }
        await memory.append(to, bytes);
      },
      remove: async (what: string) => {
        if (what === path && removing) throw removing;
        await memory.remove(what);
      },
    } satisfies Partial<Files>);
    store = await openTestStore('/store', { files });
  };
  beforeEach(async () => {
    memory = new MemoryFiles();
    [appends, removing] = [0, null];
    beforeAppend = async () => {};
    await open();
    for (const id of ['s1', 's2']) await store.sessions.create(aSession({ id }));
  });
  /** As after a crash: nothing is left in memory. */
  const reopen = async (): Promise<void> => {
    await store.close();
    await open();
  };
  const isThere = async (): Promise<boolean> => (await memory.stat(path)) !== null;

  it('S4-20 has all of an answer that came before a crash, with its question, its ids and those of its prompt', async () => {
    await store.answers.append(first());
    await store.answers.append(first(two));
    await store.answers.append(next(3, 'scatters'));
    await reopen();
    expect(await store.answers.left(one)).toEqual({
      ...begun(),
      prompt: { shared: 4, ids: [1, 2] },
      chunks: [text('Because '), text('air '), text('scatters')],
      ids: [70_000, 5, 3],
    });
    expect((await store.answers.left(two))?.chunks).toHaveLength(2);
    expect(await store.answers.left(sessionId('s3'))).toBeNull();
  });

  it('EC-050 has an answer up to the first batch that is damaged, and none whose beginning is', async () => {
    await store.answers.append(first());
    const begins = (await memory.read(path)).length;
    await store.answers.append(next(3, 'scatters '));
    const damaged = (await memory.read(path)).length;
    await store.answers.append(next(4, 'blue '));
    await store.answers.append(next(5, 'light'));
    (await memory.read(path))[damaged + 20]! ^= 1;
    await reopen();
    expect((await store.answers.left(one))?.chunks.map((chunk) => chunk.text)).toEqual([
      'Because ',
      'air ',
      'scatters ',
    ]);
    (await memory.read(path))[begins - 20]! ^= 1;
    expect(await store.answers.left(one)).toBeNull();
  });

  it('has the last answer of a session, where an earlier one was not removed', async () => {
    await store.answers.append(first());
    const later = messageId('m4');
    await store.answers.append({ ...first(), answer: later, begun: { ...begun(), answer: { ...answer, id: later } } });
    expect(await store.answers.left(one)).toMatchObject({ answer: { id: 'm4' }, chunks: [{}, {}] });
  });

  it('goes when no answer is under way, and not before', async () => {
    await store.answers.append(first());
    await store.answers.append(first(two));
    await store.answers.ended(one);
    expect((await store.answers.left(two))?.session).toBe('s2');
    await store.answers.ended(two);
    expect(await isThere()).toBe(false);
    await store.answers.ended(two);
    await store.answers.append(first());
    expect((await store.answers.left(one))?.chunks).toHaveLength(2);
  });

  it('stays after a crash until what it left is stored', async () => {
    await store.answers.append(first());
    await reopen();
    await store.answers.left(one);
    await store.answers.append(first(two));
    await store.answers.ended(two);
    expect(await store.answers.left(one)).not.toBeNull();
  });

  it('loses what is stored once it is large, though an answer of another session is under way', async () => {
    await store.answers.append(first(two));
    await store.answers.append(first());
    await store.answers.append({ ...next(3, 'x'.repeat(5 * 1024 * 1024)), ids: range(10) });
    const large = (await memory.read(path)).length;
    await store.answers.ended(one);
    expect((await memory.read(path)).length).toBeLessThan(large / 1000);
    expect(await store.answers.left(one)).toBeNull();
    await store.answers.append(next(3, 'more', two));
    expect((await store.answers.left(two))?.chunks).toHaveLength(3);
  });

  it('writes batches that wait for the disk together, each in its order', async () => {
    const disk = Promise.withResolvers<void>();
    beforeAppend = () => disk.promise;
    const writes = [store.answers.append(first())];
    // The first is on its way to the disk.
    await expect.poll(() => appends).toBe(1);
    writes.push(
      store.answers.append(next(3, 'a')),
      store.answers.append(first(two)),
      store.answers.append(next(4, 'b')),
    );
    disk.resolve();
    await Promise.all(writes);
    expect(appends).toBe(2);
    expect((await store.answers.left(one))?.chunks.map((chunk) => chunk.text)).toEqual(['Because ', 'air ', 'a', 'b']);
  });

  it('fails no turn where it cannot be removed: the store notes it, and the answer counts no more', async () => {
    await store.answers.append(first());
    removing = Object.assign(new Error('EACCES'), { code: 'EACCES' });
    await store.answers.ended(one);
    expect(store.problems).toMatchObject([
      { path: 'answers.jsonl', what: 'Answers that are stored could not be removed from it.' },
    ]);
    removing = null;
    await store.answers.ended(one);
    expect(await isThere()).toBe(false);
  });
});
