import { describe, expect, test } from 'vitest';
import { mayPrefetch, prefetchesIn } from '../../../../src/core/memory/search/prefetch.ts';
import { aMessage } from '../../../store/builders.ts';
import { coreFixture, never, type CoreFixture } from '../../coreFixture.ts';

const decision = 'The orders service stores its rows in PostgreSQL 17.';
const question = 'Where do rows of the orders service go?';

/** A session whose first message has left the prompt. */
async function forgetful(): Promise<CoreFixture> {
  const fixture = await coreFixture();
  fixture.engine.model = { ...fixture.engine.model, maxModelLen: 6144 };
  await fixture.cwm.createSession({ id: 's', memory: { enableVm: true } });
  const send = (text: string) => fixture.cwm.send({ session: 's', text, maxTokens: 64 }, never());
  await send(decision);
  for (let turn = 0; turn < 12; turn++) await send(`Turn ${turn}: ${'words that say little '.repeat(14)}`);
  return fixture;
}

const filesOf = async ({ cwm }: CoreFixture): Promise<{ path: string; text: string }[]> =>
  (await cwm.listMessages({ session: 's', limit: 100 })).items.flatMap(({ content }) =>
    content.type === 'context' ? content.files : [],
  );

describe('a page that a question most likely needs', () => {
  test('S1-54 comes before the question without being asked for, once, and takes no fault', async () => {
    const fixture = await forgetful();
    const ask = (text: string) => fixture.cwm.send({ session: 's', text, maxTokens: 64 }, never());
    await ask(question);
    const files = await filesOf(fixture);
    expect(files).toEqual([
      { path: expect.stringMatching(/^recalled\/p1-[0-9a-f]{4} \(user, .*, prefetched\)$/) as string, text: decision },
    ]);
    await ask(question);
    expect(await filesOf(fixture)).toEqual(files);
    const { stats } = await fixture.cwm.memoryState({ session: 's' });
    expect(stats).toMatchObject({ prefetches: 1, faults: 0, faultsByReason: { speculative: 1 }, thrash: 0 });
    const { events } = await fixture.cwm.memoryHistory({ session: 's', page: 'p1' });
    expect(events).toMatchObject([{ what: 'fault_in', actor: 'system', reason: 'speculative', level: 0 }]);
  });

  test.each([
    ['nothing stands out', 'What do the words of that turn say?'],
    ['the page says no word more than the question', `Is it so: ${decision}?`],
    ['it is no question', 'The rows of the orders service are many.'],
    ['it is more than a question', `${question} ${'Take your time. '.repeat(20)}`],
  ])('S1-54 none comes where %s', async (_, text) => {
    const fixture = await forgetful();
    await fixture.cwm.send({ session: 's', text, maxTokens: 64 }, never());
    expect(await filesOf(fixture)).toEqual([]);
  });
});

describe('whether prefetched pages were used', () => {
  const conversation = (answers: readonly string[]) =>
    answers.flatMap((answer, at) => {
      const context = aMessage(`c${at}`, 3 * at + 1, '');
      const asked = aMessage(`q${at}`, 3 * at + 2, question);
      const said = aMessage(`a${at}`, 3 * at + 3, answer);
      return [
        {
          ...context,
          role: 'user' as const,
          content: {
            type: 'context' as const,
            files: [{ path: 'recalled/p1-0000 (user, 2026-01-01, prefetched)', text: decision }],
          },
        },
        { ...asked, role: 'user' as const },
        { ...said, role: 'assistant' as const },
      ];
    });

  test('S1-95 an answer that repeats words of the page which the question does not have has used it', () => {
    expect(prefetchesIn(conversation(['Into PostgreSQL 17.', 'Rows of the orders service go somewhere.']))).toEqual({
      prefetches: 2,
      prefetchesUsed: 1,
    });
    expect(prefetchesIn(conversation([]))).toEqual({ prefetches: 0, prefetchesUsed: 0 });
  });

  test('S1-95 where fewer than 60 % of the last ones were used, no more come', () => {
    const [used, unused] = ['Into PostgreSQL 17.', 'I do not know.'];
    expect(mayPrefetch(conversation([unused, unused, unused, unused]), question)).toBe(true);
    expect(mayPrefetch(conversation([unused, unused, used, used, used]), question)).toBe(true);
    expect(mayPrefetch(conversation([unused, unused, unused, used, used]), question)).toBe(false);
    expect(mayPrefetch(conversation([unused, ...Array.from({ length: 10 }, () => used)]), question)).toBe(true);
  });
});
