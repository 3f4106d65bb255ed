import { describe, expect, onTestFinished, test } from 'vitest';
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import type { Embedder } from '../../../../src/core/ports/search.ts';
import { knownText } from '../../../../src/core/memory/search/meaningTrial.ts';
import type { SessionId } from '../../../../src/protocol/ids.ts';
import { CwmError } from '../../../../src/protocol/errors.ts';
import { eventually } from '../../../support/eventually.ts';
import { holdSave, keeping } from '../../checkpoints.ts';
import { coreFixture, never, type CoreFixture } from '../../coreFixture.ts';
import { ScriptedEmbedder } from './scriptedEmbedder.ts';

const decision = 'The orders go into PostgreSQL 17.';

async function forgetful(
  embedder: Embedder,
  ids = ['s'],
  making = coreFixture(),
  project?: string,
): Promise<CoreFixture> {
  const fixture = await making;
  fixture.engines.embedder = () => embedder;
  fixture.engine.model = { ...fixture.engine.model, maxModelLen: 4096 };
  for (const id of ids) {
    await fixture.cwm.createSession({ id, memory: { enableVm: true }, project });
    for (const text of [decision, ...Array.from({ length: 5 }, (_, at) => `Turn ${at}: ${'filler '.repeat(100)}`)])
      await fixture.cwm.send({ session: id, text, maxTokens: 32 }, never());
    expect((await fixture.store.memory.load(id as SessionId)).some(({ type }) => type === 'segment')).toBe(true);
  }
  await fixture.cwm.settled();
  return fixture;
}

const unembedded = ({ store }: CoreFixture, id: string, { model } = new ScriptedEmbedder()) =>
  store.search.unembedded(id as SessionId, model, 9);

/** What calls `hold` waits until `go`. */
function barrier() {
  const reached = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const hold = async (): Promise<void> => {
    reached.resolve();
    await go.promise;
  };
  onTestFinished(() => go.resolve());
  return { hold, go: () => go.resolve(), reached: reached.promise };
}

const found = async ({ cwm }: CoreFixture): Promise<string[]> =>
  (await cwm.searchPages({ text: 'Which database?', session: 's' })).items.map(({ text }) => text);

describe('search by meaning', () => {
  test('S1-55 finds a page that shares no word with the question, where a server embeds texts', async () => {
    const embedder = new ScriptedEmbedder();
    const fixture = await forgetful(embedder);
    expect((await found(fixture))[0]).toBe(decision);
    const before = embedder.asked.length;
    await fixture.cwm.send({ session: 's', text: 'One more.', maxTokens: 32 }, never());
    await fixture.cwm.settled();
    expect(embedder.asked.slice(before)).toEqual(['One more.', 'fine']);
  });

  test('vectors that do not say what texts are about are not used, and the server is not asked again', async () => {
    const embedder = new ScriptedEmbedder();
    embedder.isGood = false;
    const fixture = await forgetful(embedder);
    // The texts of the trial, of which a turn may have ended one.
    const asked = embedder.asked.length;
    expect(new Set(embedder.requests.flat()).size).toBe(20);
    expect(await found(fixture)).toEqual([]);
    await fixture.cwm.send({ session: 's', text: 'One more.', maxTokens: 32 }, never());
    await fixture.cwm.settled();
    expect(embedder.asked).toHaveLength(asked);
  });

  test('a server that fails changes nothing: turns go on, and words find what words find', async () => {
    const embedder = new ScriptedEmbedder();
    embedder.failure = new CwmError('EngineUnavailable', 'Nobody listens.');
    const fixture = await forgetful(embedder);
    expect(await found(fixture)).toEqual([]);
    embedder.failure = null;
    await fixture.cwm.send({ session: 's', text: 'One more.', maxTokens: 32 }, never());
    await fixture.cwm.settled();
    embedder.failure = new CwmError('EngineFailed', 'Out of memory.');
    expect(await found(fixture)).toEqual([]);
    expect((await fixture.cwm.searchPages({ text: 'orders', session: 's' })).items[0]?.text).toBe(decision);
  });

  test('a turn ends what is being embedded, and it goes on behind the turn', async () => {
    const embedder = new ScriptedEmbedder();
    const fixture = await forgetful(embedder);
    const embedding = barrier();
    embedder.before = embedding.hold;
    await fixture.cwm.send({ session: 's', text: 'Two cats.', maxTokens: 32 }, never());
    await embedding.reached;
    const next = fixture.cwm.send({ session: 's', text: 'A dog.', maxTokens: 32 }, never());
    embedding.go();
    await next;
    await fixture.cwm.settled();
    expect(await unembedded(fixture, 's')).toEqual([]);
  });

  test('S1-55 nothing is embedded beside a turn of any session, and who was interrupted is not forgotten', async () => {
    const embedder = new ScriptedEmbedder();
    const fixture = await forgetful(embedder, ['a', 'b']);
    const { cwm, engine } = fixture;
    const heldTurn = async () => {
      const generating = barrier();
      let isFirst = true;
      engine.onCall = async (call) => {
        if (call === 'generate' && isFirst) {
          isFirst = false;
          await generating.hold();
        }
      };
      const turn = cwm.send({ session: 'b', text: 'A dog.', maxTokens: 32 }, never());
      return { reached: generating.reached, end: async () => (generating.go(), await turn) };
    };

    const first = await heldTurn();
    await first.reached;
    const before = embedder.asked.length;
    await cwm.send({ session: 'a', text: 'Two cats.', maxTokens: 32 }, never());
    await cwm.settled();
    expect(embedder.asked).toHaveLength(before);

    // Now both sessions wait, and the next turn ends the work on the first of them.
    const embedding = barrier();
    embedder.before = embedding.hold;
    await first.end();
    await embedding.reached;
    const asked = embedder.asked.length;
    const second = await heldTurn();
    embedding.go();
    await second.reached;
    await cwm.settled();
    expect(embedder.asked).toHaveLength(asked);
    await second.end();
    await cwm.settled();
    expect([await unembedded(fixture, 'a'), await unembedded(fixture, 'b')]).toEqual([[], []]);
  });

  test('a session may have any id: no work on its KV is taken for work on meanings', async () => {
    const always = keeping({ tokenThreshold: 0, tokenCountThreshold: 1, cooldownMs: 0 });
    const fixture = await forgetful(new ScriptedEmbedder(), ['meaning'], always);
    const saving = holdSave(fixture);
    onTestFinished(saving.go);
    await fixture.cwm.send({ session: 'meaning', text: 'Two cats.', maxTokens: 32 }, never());
    await saving.reached;
    await fixture.cwm.createSession({ id: 'other' });
    await eventually(async () => expect(await unembedded(fixture, 'meaning')).toEqual([]));
    saving.go();
    await fixture.cwm.settled();
    expect(fixture.failures).toEqual([]);
  });

  test('a fault of this program ends neither the backend nor the next tries, and is reported', async () => {
    const embedder = new ScriptedEmbedder();
    const fixture = await forgetful(embedder);
    const fault = new TypeError('A fault.');
    embedder.before = () => Promise.reject(fault);
    await fixture.cwm.send({ session: 's', text: 'Two cats.', maxTokens: 32 }, never());
    await fixture.cwm.settled();
    expect(fixture.failures).toEqual([fault]);
    embedder.before = async () => undefined;
    await fixture.cwm.send({ session: 's', text: 'A dog.', maxTokens: 32 }, never());
    await fixture.cwm.settled();
    expect(await unembedded(fixture, 's')).toEqual([]);
  });

  test('S1-55 vectors of earlier turns are used before a turn of this process has ended', async () => {
    const fixture = await forgetful(new ScriptedEmbedder());
    // Nobody has tried this one yet, as after a start.
    const untried = new ScriptedEmbedder();
    fixture.engines.embedder = () => untried;
    expect((await found(fixture))[0]).toBe(decision);
  });

  test('where no server can be had for a session, words find what words find', async () => {
    const fixture = await forgetful(new ScriptedEmbedder());
    fixture.engines.embedder = () => {
      throw new CwmError('InvalidParameter', 'That is no engine.');
    };
    expect((await fixture.cwm.searchPages({ text: 'orders', session: 's' })).items[0]?.text).toBe(decision);
  });

  test('S1-55 what was never said is not found: less similar messages than any two texts are near to no question', async () => {
    const fixture = await forgetful(new ScriptedEmbedder());
    const strange = await fixture.cwm.searchPages({ text: 'Melting tungsten?', session: 's' });
    expect(strange).toMatchObject({ items: [], total: 0 });
  });

  test('S1-55 another model under the same name on the same address: its vectors stand beside the old ones, and are never compared with them', async () => {
    const embedder = new ScriptedEmbedder();
    const fixture = await forgetful(embedder);
    expect((await found(fixture))[0]).toBe(decision);
    const old = embedder.model;
    embedder.modelNumber = 3;
    // Nothing says that it changed but what it makes of a known text.
    expect(await found(fixture)).toEqual([]);
    await fixture.cwm.send({ session: 's', text: 'One more.', maxTokens: 32 }, never());
    await fixture.cwm.settled();
    expect(await unembedded(fixture, 's', embedder)).toEqual([]);
    expect((await found(fixture))[0]).toBe(decision);
    // The old model comes back, and has vectors of all that was said before.
    embedder.modelNumber = 0;
    const before = embedder.asked.length;
    expect((await found(fixture))[0]).toBe(decision);
    expect(embedder.asked.slice(before).filter((text) => text === decision)).toEqual([]);
    expect(await fixture.store.search.unembedded('s' as SessionId, old, 9)).toHaveLength(2);
  });

  test('the same model under another name or on another server needs no vectors of its own', async () => {
    const embedder = new ScriptedEmbedder();
    const fixture = await forgetful(embedder);
    const other = new ScriptedEmbedder();
    const renamed: Embedder = {
      server: 'http://other',
      embed: async (...asked) => ({ ...(await other.embed(...asked)), model: 'another name' }),
    };
    fixture.engines.embedder = () => renamed;
    expect((await found(fixture))[0]).toBe(decision);
    // Behind its trial.
    expect(other.requests.slice(2)).toEqual([[knownText.question, 'Which database?']]);
  });

  test('a model that was of no use is tried again after an hour', async () => {
    const embedder = new ScriptedEmbedder();
    embedder.isGood = false;
    const fixture = await forgetful(embedder);
    embedder.isGood = true;
    expect(await found(fixture)).toEqual([]);
    fixture.clock.advance(3_600_000);
    await fixture.cwm.send({ session: 's', text: 'One more.', maxTokens: 32 }, never());
    await fixture.cwm.settled();
    expect((await found(fixture))[0]).toBe(decision);
  });

  test('S1-55 a text that the server refuses costs no other its vectors, and is not asked for again', async () => {
    const embedder = new ScriptedEmbedder();
    const base64 = 'QUJD'.repeat(50);
    embedder.refuses = (text) => text.includes('QUJD');
    const fixture = await forgetful(embedder);
    await fixture.cwm.send({ session: 's', text: base64, maxTokens: 32 }, never());
    await fixture.cwm.send({ session: 's', text: 'Two cats.', maxTokens: 32 }, never());
    await fixture.cwm.settled();
    expect(await unembedded(fixture, 's')).toEqual([]);
    const before = embedder.asked.length;
    await fixture.cwm.send({ session: 's', text: 'A dog.', maxTokens: 32 }, never());
    await fixture.cwm.settled();
    expect(embedder.asked.slice(before)).not.toContain(base64);
  });

  test('S1-55 a part that is too long for the model is embedded in pieces, so that all of it is found', async () => {
    const embedder = new ScriptedEmbedder();
    embedder.refuses = (text) => text.length > 512;
    const fixture = await forgetful(embedder);
    const long = `${'北京大学 '.repeat(180)}The orders go into PostgreSQL 18.`;
    await fixture.cwm.send({ session: 's', text: long, maxTokens: 32 }, never());
    await fixture.cwm.settled();
    expect(await found(fixture)).toContain(long);
  });

  test('texts of a session are embedded with the key of its own requests, not of another session that waited before', async () => {
    const key = new AsyncLocalStorage<string>();
    const embedder = new ScriptedEmbedder();
    const fixture = await forgetful(embedder, ['a', 'b']);
    fixture.engines.inThisRequest = (work) => AsyncResource.bind(work);
    const keys = new Map<string, string | undefined>();
    const embedding = barrier();
    embedder.before = async () => {
      for (const text of embedder.requests.at(-1)!) keys.set(text, key.getStore());
      await embedding.hold();
    };
    const say = (session: string, text: string) =>
      key.run(`key of ${session}`, () => fixture.cwm.send({ session, text, maxTokens: 32 }, never()));
    await say('a', 'Two cats.');
    await embedding.reached;
    const other = say('b', 'A dog.');
    embedding.go();
    await other;
    await fixture.cwm.settled();
    expect([keys.get('Two cats.'), keys.get('A dog.')]).toEqual(['key of a', 'key of b']);
  });

  test('S1-55 vectors count in other sessions of a project where that is asked for, and are gone with a deleted session', async () => {
    const embedder = new ScriptedEmbedder();
    const fixture = await coreFixture();
    const project = 'file:///home/a';
    await fixture.cwm.createSession({ id: 'other', project });
    await forgetful(embedder, ['s'], Promise.resolve(fixture), project);
    const search = async () =>
      (await fixture.cwm.searchPages({ text: 'Which database?', project })).items.map(({ text }) => text);
    expect(await search()).toEqual([decision]);
    expect(await fixture.cwm.searchPages({ text: 'Which database?', project: 'file:///home/b' })).toMatchObject({
      items: [],
    });
    await fixture.cwm.deleteSession({ session: 's' }, never());
    expect(await search()).toEqual([]);
  });

  describe('how searches go', () => {
    const state = async ({ cwm }: CoreFixture) => (await cwm.memoryState({ session: 's', search: true })).search;

    test('S1-55 by words and by meaning, with the server, its model, and how many messages have vectors', async () => {
      const fixture = await forgetful(new ScriptedEmbedder());
      const { messages } = await fixture.cwm.memoryState({ session: 's' });
      expect(await state(fixture)).toEqual({
        byMeaning: true,
        server: 'http://embedder',
        model: 'meant',
        messages,
        embedded: messages,
        why: null,
      });
      expect((await fixture.cwm.memoryState({ session: 's' })).search).toBeUndefined();
    });

    test('by words alone, and why: no server, a model of no use, a server that fails, which is asked again', async () => {
      const embedder = new ScriptedEmbedder();
      embedder.isGood = false;
      const fixture = await forgetful(embedder);
      expect(await state(fixture)).toMatchObject({
        byMeaning: false,
        model: null,
        why: expect.stringContaining('questions of a trial'),
      });
      const untried = new ScriptedEmbedder();
      fixture.engines.embedder = () => untried;
      untried.failure = new CwmError('EngineUnavailable', 'Nobody listens.');
      expect(await state(fixture)).toMatchObject({
        byMeaning: false,
        server: 'http://embedder',
        why: 'Nobody listens.',
      });
      untried.failure = null;
      expect(await state(fixture)).toMatchObject({ byMeaning: true, model: 'meant' });
      fixture.engines.embedder = () => null;
      expect(await state(fixture)).toMatchObject({
        byMeaning: false,
        why: expect.stringContaining('--embeddings-server'),
      });
      fixture.engines.embedder = () => {
        throw new CwmError('InvalidParameter', 'That is no engine.');
      };
      expect(await state(fixture)).toMatchObject({ byMeaning: false, why: 'That is no engine.' });
    });
  });
});
