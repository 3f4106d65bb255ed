import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tryMeaning } from '../../../src/core/memory/search/meaningTrial.ts';
import type { Embedder, EmbeddedAs } from '../../../src/core/ports/search.ts';
import { coreFixture, never, type CoreFixture } from '../../core/coreFixture.ts';
import { embeddingServerAt } from './embeddingServerAt.ts';
import { noteFigure } from './figures.ts';
import { gemmaModel } from './gemmaModel.ts';
import type { ModelServer } from './guardedServer.ts';
import { startLlamaServer } from './llamaServer.ts';
import { minilmServers } from './minilmModel.ts';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** A server of embeddings, and what it was asked. */
function embedderAt(url: string): Embedder & { readonly asked: string[] } {
  const { server, ...links } = embeddingServerAt(url);
  cleanUps.push(() => links.close());
  const asked: string[] = [];
  return {
    server: url,
    asked,
    embed: (texts, as: EmbeddedAs, signal) => {
      asked.push(...texts);
      return server.embed(texts, as, signal);
    },
  };
}

async function started(make: Promise<ModelServer>): Promise<ModelServer> {
  const server = await make;
  cleanUps.push(() => server.stop());
  return server;
}

const decision = 'The orders go into PostgreSQL, since two people here know how to run it.';
const said = [
  decision,
  'My sister moved to an apartment in Lisbon last spring.',
  'Peanuts make my throat swell.',
  `On the market: ${'we walked from stall to stall and looked at the flowers, '.repeat(60)}`,
  // More tokens than the model takes, in fewer characters than a part has.
  '我们在北京大学学习计算机科学，住在海淀区的一个小公寓里。'.repeat(40),
  'The ferry leaves at noon.',
];

/** A session from whose prompt most of it has left. Its answers are a script's. */
async function talkedWith(embedder: Embedder): Promise<CoreFixture> {
  const fixture = await coreFixture();
  fixture.engines.embedder = () => embedder;
  fixture.engine.model = { ...fixture.engine.model, maxModelLen: 4096 };
  await fixture.cwm.createSession({ id: 's', memory: { enableVm: true } });
  for (const text of said) await fixture.cwm.send({ session: 's', text, maxTokens: 32 }, never());
  await fixture.cwm.settled();
  return fixture;
}

const stateOf = async ({ cwm }: CoreFixture) => (await cwm.memoryState({ session: 's', search: true })).search;
const find = async ({ cwm }: CoreFixture, text: string): Promise<string[]> =>
  (await cwm.searchPages({ text, session: 's' })).items.map((page) => page.text);

describe.each(Object.entries(minilmServers))('S1-55 search by meaning with all-MiniLM-L6-v2 on %s', (name, start) => {
  let server: ModelServer;
  let embedder: ReturnType<typeof embedderAt>;
  beforeEach(async () => {
    server = await started(start(never()));
    embedder = embedderAt(server.url);
  });

  test('the trial accepts it, every message has vectors, and searches use them', async () => {
    const tried = await tryMeaning(embedder, never());
    noteFigure(`${name}: ${tried?.right} of 10, near from ${tried?.leastSimilarity.toFixed(3)} on`);
    expect(tried).toMatchObject({ isUseful: true });
    const fixture = await talkedWith(embedder);
    const state = await stateOf(fixture);
    expect(state).toMatchObject({ byMeaning: true, why: null, server: server.url, embedded: said.length * 2 });
    expect((await find(fixture, 'Which database was chosen?'))[0]).toBe(decision);
    expect((await find(fixture, 'food allergy'))[0]).toBe(said[2]);
    expect(await find(fixture, 'Melting point of tungsten?')).toEqual([]);

    // The server goes away in the middle: words find what they find, and the state says why.
    await server.kill();
    expect((await find(fixture, 'orders'))[0]).toBe(decision);
    expect(await find(fixture, 'food allergy')).toEqual([]);
    expect(await stateOf(fixture)).toMatchObject({ byMeaning: false, embedded: said.length * 2 });
    await fixture.cwm.send({ session: 's', text: 'Two cats run through the kitchen.', maxTokens: 32 }, never());
    await fixture.cwm.settled();

    // And comes back: the message of in between gets its vectors with the next turn.
    await started(start(never(), Number(new URL(server.url).port)));
    await fixture.cwm.send({ session: 's', text: 'Bye.', maxTokens: 32 }, never());
    await fixture.cwm.settled();
    expect((await find(fixture, 'pets'))[0]).toBe('Two cats run through the kitchen.');
    expect(await stateOf(fixture)).toMatchObject({ byMeaning: true, why: null });
  });
});

test('S1-55 vectors that llama-server made count on vLLM, where the model has another name', async () => {
  const first = await started(minilmServers['llama-server'](never()));
  const fixture = await talkedWith(embedderAt(first.url));
  const second = await started(minilmServers.vLLM(never()));
  const embedder = embedderAt(second.url);
  fixture.engines.embedder = () => embedder;
  expect((await find(fixture, 'Which database was chosen?'))[0]).toBe(decision);
  await fixture.cwm.send({ session: 's', text: 'Bye.', maxTokens: 32 }, never());
  await fixture.cwm.settled();
  expect(embedder.asked).not.toContain(decision);
});

test('S1-55 a chat model under the same name on the same address is found out, and its vectors are not used', async () => {
  const first = await started(minilmServers['llama-server'](never()));
  const embedder = embedderAt(first.url);
  const fixture = await talkedWith(embedder);
  await first.kill();
  const chat = {
    modelPath: gemmaModel(),
    embeds: true,
    contextTokens: 2048,
    slots: 1,
    port: Number(new URL(first.url).port),
    servedName: 'all-minilm-l6-v2-f16.gguf',
  };
  await started(startLlamaServer(chat, never()));
  expect(await find(fixture, 'food allergy')).toEqual([]);
  // Its trial may take longer than a search waits.
  await fixture.cwm.send({ session: 's', text: 'Bye.', maxTokens: 32 }, never());
  await fixture.cwm.settled();
  expect(await stateOf(fixture)).toMatchObject({
    byMeaning: false,
    model: null,
    why: expect.stringContaining('do not say what texts are about'),
  });
});
