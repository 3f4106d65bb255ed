import { describe, expect, test } from 'vitest';
import type { Embedder } from '../../../../src/core/ports/search.ts';
import type { SessionId } from '../../../../src/protocol/ids.ts';
import { CwmError } from '../../../../src/protocol/errors.ts';
import { coreFixture, never, type CoreFixture } from '../../coreFixture.ts';

/** Subjects, with words that belong to them: what shares no word may share a subject. */
const subjects = [
  /live|apartment|Lisbon/,
  /database|PostgreSQL/,
  /job|nurse/,
  /tokens|expires/,
  /release|Tuesday|ship/,
  /pets|dog|cats/,
  /build|compiler/,
  /play|violin/,
  /exam|driving/,
  /food|Peanuts/,
];

class ScriptedEmbedder implements Embedder {
  readonly asked: string[] = [];
  /** Whether its vectors say what texts are about, or only how long they are. */
  isGood = true;
  failure: CwmError | null = null;
  /** Runs before each answer. */
  before: () => Promise<void> = async () => undefined;

  async embed(texts: readonly string[], _as: string, signal: AbortSignal) {
    this.asked.push(...texts);
    await this.before();
    if (signal.aborted) throw new CwmError('Cancelled', 'A turn came first.');
    if (this.failure) throw this.failure;
    const vectors = texts.map((text) =>
      this.isGood ? [0.01, ...subjects.map((words) => (words.test(text) ? 1 : 0))] : [1, text.length],
    );
    return { model: 'meant', vectors };
  }
}

const decision = 'The orders go into PostgreSQL 17.';

async function forgetful(embedder: Embedder): Promise<CoreFixture> {
  const fixture = await coreFixture();
  fixture.engines.embedder = () => embedder;
  fixture.engine.model = { ...fixture.engine.model, maxModelLen: 4096 };
  await fixture.cwm.createSession({ id: 's', memory: { enableVm: true } });
  for (const text of [decision, ...Array.from({ length: 5 }, (_, at) => `Turn ${at}: ${'filler '.repeat(100)}`)])
    await fixture.cwm.send({ session: 's', text, maxTokens: 32 }, never());
  expect((await fixture.store.memory.load('s' as SessionId)).some(({ type }) => type === 'segment')).toBe(true);
  await fixture.cwm.settled();
  return fixture;
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
    expect(new Set(embedder.asked).size).toBe(20);
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
    const held = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    embedder.before = async () => {
      begun.resolve();
      await held.promise;
    };
    await fixture.cwm.send({ session: 's', text: 'Two cats.', maxTokens: 32 }, never());
    await begun.promise;
    const next = fixture.cwm.send({ session: 's', text: 'A dog.', maxTokens: 32 }, never());
    held.resolve();
    await next;
    await fixture.cwm.settled();
    expect(await fixture.store.search.unembedded('s' as SessionId, 'meant', 9)).toEqual([]);
  });
});
