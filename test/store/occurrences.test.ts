import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { recall } from '../../src/core/memory/search/recall.ts';
import type { FileStore } from '../../src/store/fileStore.ts';
import { aMessage, aSession, nextVersion, projectUri, sessionId } from './builders.ts';
import { openTestStore, temporaryDirectory } from './testStore.ts';

async function talk(
  store: FileStore,
  id: string,
  texts: readonly string[],
  project: string | null = null,
): Promise<void> {
  await store.sessions.create(aSession({ id, project }));
  await store.messages.append(
    sessionId(id),
    texts.map((text, at) => ({
      ...aMessage(`${id}-${at}`, at + 1, text),
      createdAt: new Date(1_700_000_000_000 + at * 60_000).toISOString(),
    })),
  );
}
const found = async (store: FileStore, text: string, scope: Parameters<typeof recall>[2] = {}): Promise<string[]> =>
  (await recall(store.search, text, scope)).map(({ found: { message } }) => message);

describe('recall from the store', () => {
  it('S1-55 finds other endings of a word, and the answer that has none of the words', async () => {
    const store = await openTestStore(await temporaryDirectory());
    await talk(store, 's', [
      'Where did you paint?',
      'On the roof.',
      ...Array.from({ length: 20 }, () => 'Nothing of that.'),
    ]);
    expect((await found(store, 'Where was the painting made?')).slice(0, 2)).toEqual(['s-0', 's-1']);
    expect(await found(store, 'the of what')).toEqual([]);
    expect(await found(store, 'zebra')).toEqual([]);
  });

  it('S1-55 finds the oldest and the newest message also where every word is in more messages than are ranked', async () => {
    const store = await openTestStore(await temporaryDirectory());
    const texts = Array.from({ length: 1_000 }, (_, at) => `We deploy the part ${at}, and much is said of it besides.`);
    await talk(store, 's', ['Deploy, deploy, deploy.', ...texts, 'Deploy, deploy!']);
    const best = await found(store, 'deploy', { session: sessionId('s') });
    expect(best.slice(0, 2).sort()).toEqual(['s-0', 's-1001']);
  });

  it.each([2, 1_400, 2_999])(
    'S1-55 finds the message that answers, at place %d of 3,000 where each word of the question is in more than are ranked',
    async (place) => {
      const store = await openTestStore(await temporaryDirectory());
      const texts = Array.from({ length: 3_000 }, (_, at) =>
        at % 2 === 0 ? `The pipeline of part ${at} is green.` : `The certificate of part ${at} is new.`,
      );
      texts[place] = 'The certificate of the pipeline: March.';
      await talk(store, 's', texts);
      const best = await found(store, 'What of the certificate of the pipeline?', { session: sessionId('s') });
      expect(best[0]).toBe(`s-${place}`);
    },
  );

  it('S1-55 of a conversation with very many matches, each one whose words say more comes before those that say less', async () => {
    const store = await openTestStore(await temporaryDirectory());
    const texts = Array.from({ length: 2_600 }, (_, at) => {
      if (at % 500 === 250) return `Heron, kestrel and plover in note ${at}.`;
      return at % 4 === 0
        ? `A heron in note ${at}.`
        : at % 4 === 2
          ? `A kestrel in note ${at}.`
          : `Nothing in note ${at}.`;
    });
    await talk(store, 's', texts);
    const best = await found(store, 'heron kestrel plover', { session: sessionId('s') });
    expect(best.slice(0, 5).sort()).toEqual(['s-1250', 's-1750', 's-2250', 's-250', 's-750']);
  });

  it('S1-55 looks in one session or one project, and never beyond it', async () => {
    const store = await openTestStore(await temporaryDirectory());
    await talk(store, 'a', ['The heron flies.'], 'file:///p');
    await talk(store, 'b', ['The heron lands.'], 'file:///p');
    await talk(store, 'c', ['The heron sleeps.']);
    expect(await found(store, 'heron', { session: sessionId('a') })).toEqual(['a-0']);
    expect((await found(store, 'heron', { project: projectUri('file:///p') })).sort()).toEqual(['a-0', 'b-0']);
    expect(await found(store, 'heron')).toHaveLength(3);
  });

  it('sees what was said since the last search, and a new project of the session', async () => {
    const store = await openTestStore(await temporaryDirectory());
    await talk(store, 's', ['First.']);
    expect(await found(store, 'lighthouse')).toEqual([]);
    await store.messages.append(sessionId('s'), [aMessage('later', 2, 'The lighthouse is lit.')]);
    expect(await found(store, 'lighthouse')).toContain('later');
    const session = (await store.sessions.get(sessionId('s')))!;
    await store.sessions.update(nextVersion(session, { project: 'file:///q' }));
    expect(await found(store, 'lighthouse', { project: projectUri('file:///q') })).toContain('later');
  });

  it('finds what was said on a day that the question names', async () => {
    const store = await openTestStore(await temporaryDirectory());
    await store.sessions.create(aSession({ id: 's' }));
    const on = (id: string, at: number, day: string, text: string) => ({
      ...aMessage(id, at, text),
      createdAt: `${day}T10:00:00.000Z`,
    });
    await store.messages.append(sessionId('s'), [
      on('march', 1, '2026-03-08', 'We met.'),
      on('may', 2, '2026-05-08', 'We met.'),
      on('june', 3, '2026-06-01', 'We met.'),
    ]);
    expect((await found(store, 'Whom did we meet on 8 May 2026?'))[0]).toBe('may');
    expect((await found(store, 'On 2026-06-01?'))[0]).toBe('june');
  });

  it('a damaged image of the index is made again from the messages', async () => {
    const directory = await temporaryDirectory();
    const store = await openTestStore(directory);
    await talk(store, 's', ['The heron flies.']);
    await found(store, 'heron');
    await store.close();
    await writeFile(join(directory, 'search.sqlite'), 'not an index');
    const again = await openTestStore(directory);
    expect(await found(again, 'heron')).toEqual(['s-0']);
  });
});
