import { describe, expect, test, vi } from 'vitest';
import type { SessionId } from '../../../src/protocol/ids.ts';
import { coreFixture, never, type CoreFixture } from '../coreFixture.ts';

const id = 's' as SessionId;
const decision = 'We decided that the billing service gets the name heron, because kestrel was taken.';

/** A session whose first messages, a decision among them, have left the prompt. */
async function forgetful(): Promise<CoreFixture> {
  const fixture = await coreFixture();
  fixture.engine.model = { ...fixture.engine.model, maxModelLen: 4096 };
  await fixture.cwm.createSession({ id, memory: { enableVm: true } });
  for (const text of [decision, ...Array.from({ length: 5 }, (_, at) => `Turn ${at}: ${'filler '.repeat(100)}`)])
    await fixture.cwm.send({ session: id, text, maxTokens: 32 }, never());
  // Room for all results, so that no request for a summary comes between.
  fixture.engine.model = { ...fixture.engine.model, maxModelLen: 16_384 };
  return fixture;
}

async function resultsOf({ store }: CoreFixture): Promise<string[]> {
  const session = await store.sessions.get(id);
  const chain = await store.messages.chain(id, session?.branches['main']?.head ?? null);
  const messages = await store.messages.load(id, chain);
  return messages.flatMap(({ content }) => (content.type === 'tool-result' ? [content.text] : []));
}

const call = (name: string, given: object, at = 0) => ({
  id: `call-${name}-${at}`,
  name,
  arguments: JSON.stringify(given),
});

describe('search_pages', () => {
  test('S1-54 neither a recall nor a search nor a fault reads a message of the conversation from the disk', async () => {
    const fixture = await forgetful();
    const { engine, cwm, store } = fixture;
    const load = vi.spyOn(store.messages, 'load');
    engine.toolCalls = [
      [call('search_pages', { query: 'Which name did the billing service get?' })],
      [call('page_fault', { page_id: 'p1' })],
    ];
    await cwm.send({ session: id, text: 'Do you remember the name of the billing service?', maxTokens: 32 }, never());
    expect(load).not.toHaveBeenCalled();
    const [found, page] = await resultsOf(fixture);
    expect(found).toContain(decision);
    expect(page).toContain(decision);
  });

  test('S1-54 finds a decision by its words, and page_fault brings the page back by the id that it read there', async () => {
    const fixture = await forgetful();
    const { engine, cwm, store } = fixture;
    engine.toolCalls = [[call('search_pages', { query: 'Which name did the billing service get?', limit: 1 })]];
    const ask = (text: string) => cwm.send({ session: id, text, maxTokens: 32 }, never());
    await ask('Do you remember what the service is called?');
    const [found = ''] = await resultsOf(fixture);
    const { results } = JSON.parse(found) as { results: { page_id: string; text: string; role: string }[] };
    expect(results[0]).toMatchObject({
      text: decision,
      role: 'user',
      page_id: expect.stringMatching(/^p1-/) as string,
    });
    engine.toolCalls = [[call('page_fault', { page_id: results[0]!.page_id, target_level: 0 })]];
    await ask('Bring it back.');
    expect(JSON.parse((await resultsOf(fixture))[1] ?? '')).toMatchObject({ page: { content: decision, level: 0 } });
    const searches = (await store.memory.load(id)).filter(({ type }) => type === 'search');
    expect(searches).toMatchObject([{ reason: 'user_requested_recall' }]);
    // Neither the question nor the search itself.
    expect(searches.flatMap((each) => (each.type === 'search' ? each.pages : []))).not.toContainEqual(
      expect.stringMatching(/^p1[3-9]-/),
    );
    const history = await cwm.memoryHistory({ session: id, page: results[0]!.page_id });
    expect(history.searches).toEqual(searches);
  });

  test('S1-52 more than four in a turn are refused, wrong calls say why, and the turn continues', async () => {
    const fixture = await forgetful();
    const wrong = [{}, { query: ' ' }, { query: 'a'.repeat(1_001) }, { query: 'heron', limit: 11 }];
    const calls = [...wrong, ...Array.from({ length: 5 }, () => ({ query: 'heron' }))];
    fixture.engine.toolCalls = calls.map((given, at) => [call('search_pages', given, at)]);
    const { text } = await fixture.cwm.send({ session: id, text: 'And now?', maxTokens: 32 }, never());
    const results = await resultsOf(fixture);
    const isRefused = results.map((result) => 'error' in (JSON.parse(result) as object));
    expect(isRefused).toEqual([true, true, true, true, false, false, false, false, true]);
    expect(results.at(-1)).toContain('Search limit');
    expect(text).toBe('fine');
  });
});
