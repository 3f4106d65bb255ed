import { describe, expect, test } from 'vitest';
import { CwmError } from '../../../../src/protocol/errors.ts';
import { asksForRecall } from '../../../../src/core/memory/search/recallPhrases.ts';
import { coreFixture, never, type CoreFixture } from '../../coreFixture.ts';

const decision = 'Decision about the database: we will use PostgreSQL 17 for the orders service.';

/** A session whose first message has left the prompt. */
async function longSession(memory: boolean): Promise<CoreFixture> {
  const fixture = await coreFixture();
  fixture.engine.model = { ...fixture.engine.model, maxModelLen: memory ? 6144 : 1_000_000 };
  const { cwm } = fixture;
  await cwm.createSession({ id: 's', memory: { enableVm: memory } });
  await cwm.send({ session: 's', text: `${decision} ${'and little else '.repeat(10)}`, maxTokens: 64 }, never());
  for (let turn = 0; turn < 12; turn++)
    await cwm.send(
      { session: 's', text: `Turn ${turn}: ${'words that say little '.repeat(14)}`, maxTokens: 64 },
      never(),
    );
  return fixture;
}
const recalledIn = async ({ cwm }: CoreFixture): Promise<string[]> =>
  (await cwm.listMessages({ session: 's', limit: 100 })).items.flatMap(({ content }) =>
    content.type === 'context' ? content.files.map(({ path, text }) => `${path}: ${text}`) : [],
  );

describe('what a question asks to recall', () => {
  test.each([
    ['What did we decide about the database?', true],
    ['As we said, go on.', true],
    ['Is that decision final?', true],
    ['Tell me our decision about the database.', true],
    [decision, false],
    ['Let us revisit the schema.', true],
    ['Remind me of the port.', true],
    ['You suggested another name.', true],
    ['Write a function that adds two numbers.', false],
    ['The plan is simple.', false],
  ])('S1-53 %s', (text, expected) => {
    expect(asksForRecall(text)).toBe(expected);
  });

  test('S1-53 it enters the conversation before the question, once, with the id of its page, and takes no fault', async () => {
    const fixture = await longSession(true);
    expect(await recalledIn(fixture)).toEqual([]);
    const question = { session: 's', text: 'What did we decide about the database?', maxTokens: 64 };
    await fixture.cwm.send(question, never());
    const recalled = await recalledIn(fixture);
    expect(recalled[0]).toMatch(/^recalled\/p1-[0-9a-f]{4} \(user, .*PostgreSQL 17/s);
    expect(recalled.length).toBeLessThanOrEqual(5);
    await fixture.cwm.send(question, never());
    expect(await recalledIn(fixture)).toEqual(recalled);
    const { items } = await fixture.cwm.listMessages({ session: 's', limit: 100 });
    expect(items.map(({ sequence }) => sequence)).toEqual(items.map((_, at) => at + 1));
  });

  test('S1-53 what was said on a branch that was left was not said in this conversation, and does not come', async () => {
    const { cwm, ...fixture } = await longSession(true);
    const { items } = await cwm.listMessages({ session: 's', limit: 100 });
    await cwm.send({ session: 's', text: 'The heron is grey.', maxTokens: 64 }, never());
    await cwm.rollBack({ session: 's', message: items.at(-1)!.id });
    await cwm.send({ session: 's', text: 'What did we decide about the heron?', maxTokens: 64 }, never());
    expect((await recalledIn({ cwm, ...fixture })).join()).not.toContain('grey');
  });

  test('S1-06 a session without virtual memory gets nothing', async () => {
    const without = await longSession(false);
    await without.cwm.send({ session: 's', text: 'What did we decide about the database?', maxTokens: 64 }, never());
    expect(await recalledIn(without)).toEqual([]);
  });

  test('a search that fails takes nothing from the turn', async () => {
    const fixture = await longSession(true);
    const { search } = fixture.store;
    search.occurrences = () => Promise.reject(new CwmError('ReadFailed', 'The index is gone.'));
    const said = await fixture.cwm.send(
      { session: 's', text: 'What did we decide about the database?', maxTokens: 64 },
      never(),
    );
    expect(said.messageId).toBeDefined();
    expect(await recalledIn(fixture)).toEqual([]);
  });
});
