import { describe, expect, onTestFinished, test } from 'vitest';
import type { Embedder } from '../../../../src/core/ports/search.ts';
import type { SessionId } from '../../../../src/protocol/ids.ts';
import { CwmError } from '../../../../src/protocol/errors.ts';
import { eventually } from '../../../support/eventually.ts';
import { holdSave, keeping } from '../../checkpoints.ts';
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

async function forgetful(embedder: Embedder, ids = ['s'], making = coreFixture()): Promise<CoreFixture> {
  const fixture = await making;
  fixture.engines.embedder = () => embedder;
  fixture.engine.model = { ...fixture.engine.model, maxModelLen: 4096 };
  for (const id of ids) {
    await fixture.cwm.createSession({ id, memory: { enableVm: true } });
    for (const text of [decision, ...Array.from({ length: 5 }, (_, at) => `Turn ${at}: ${'filler '.repeat(100)}`)])
      await fixture.cwm.send({ session: id, text, maxTokens: 32 }, never());
    expect((await fixture.store.memory.load(id as SessionId)).some(({ type }) => type === 'segment')).toBe(true);
  }
  await fixture.cwm.settled();
  return fixture;
}

const unembedded = ({ store }: CoreFixture, id: string) => store.search.unembedded(id as SessionId, 'meant', 9);

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
});
