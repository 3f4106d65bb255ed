import { expect, test } from 'vitest';
import type { TokensTaken } from '../../../src/protocol/schemas/session.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import { codeOf, coreFixture, never, talkedSession } from '../coreFixture.ts';
import { diskFiles } from '../../../src/store/disk/files.ts';

async function spending() {
  const spent: (TokensTaken & { session: string })[] = [];
  const onTook = (session: string, taken: TokensTaken): void => void spent.push({ session, ...taken });
  const fixture = await coreFixture({}, diskFiles, (own) => ({ ...own, onTook }));
  return { ...fixture, spent };
}

test('S1-35 each request of a turn says what it took: prompted, reused and generated, of which session and model', async () => {
  const fixture = await spending();
  const { cwm, spent, engine } = fixture;
  await talkedSession(fixture);
  const result = await cwm.send({ session: 's', text: 'And then?' }, never());
  expect(spent).toHaveLength(2);
  expect(spent[1]).toEqual({
    session: 's',
    model: engine.model.id,
    promptTokens: result.promptTokens,
    cachedTokens: result.cachedTokens,
    outputTokens: result.outputIds.length,
  });
  await cwm.prime({ session: 's', paths: ['a.ts'] }, never());
  expect(spent).toHaveLength(3);
  const { items } = await cwm.listMessages({ session: 's' });
  expect(items.flatMap(({ taken }) => (taken ? [{ session: 's', ...taken }] : []))).toEqual(spent);
});

test('S1-35 every round of tool calls counts, since the model server computes each', async () => {
  const { cwm, engine, spent } = await spending();
  engine.toolCalls = [[{ id: 'c', name: 'look', arguments: '{}' }]];
  await cwm.createSession({ id: 's', tools: { policy: 'auto-loop' } });
  await cwm.send({ session: 's', text: 'Look.' }, never());
  expect(spent).toHaveLength(2);
  expect(spent[1]!.promptTokens).toBeGreaterThan(spent[0]!.promptTokens!);
});

test('S1-35 an answer that was cut counts what came of it, and claims nothing of reuse', async () => {
  const fixture = await spending();
  await talkedSession(fixture);
  fixture.spent.length = 0;
  fixture.engine.breaksAfter = { words: 0, by: () => Promise.reject(new CwmError('EngineRejected', 'It went.')) };
  await codeOf(fixture.cwm.send({ session: 's', text: 'Go on.' }, never()));
  expect(fixture.spent).toEqual([]);
  fixture.engine.answer = 'one two three';
  fixture.engine.breaksAfter = { words: 2, by: () => Promise.reject(new CwmError('StreamCut', 'It broke.')) };
  await codeOf(fixture.cwm.send({ session: 's', text: 'Go on.' }, never()));
  expect(fixture.spent).toMatchObject([{ cachedTokens: null, outputTokens: 'one two '.length }]);
  expect(fixture.spent[0]!.promptTokens).toBeGreaterThan(20);
  const { items } = await fixture.cwm.listMessages({ session: 's' });
  expect({ session: 's', ...items.at(-1)!.taken }).toEqual(fixture.spent[0]);
});

test('S1-35 a server that gives no ids and counts nothing leaves the tokens of its answer unknown', async () => {
  const fixture = await spending();
  fixture.engine.givesIds = false;
  await talkedSession(fixture);
  expect(fixture.spent).toMatchObject([{ outputTokens: null }]);
});
