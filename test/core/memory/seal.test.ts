import { describe, expect, test, vi } from 'vitest';
import { commonPrefixLength } from '../../../src/base/tokenIds.ts';
import { batchMs } from '../../../src/core/answers/answerBatches.ts';
import type { CoreParts } from '../../../src/core/core.ts';
import { strongestClaims } from '../../../src/core/memory/segments/extract.ts';
import { Memories } from '../../../src/core/memory/memories.ts';
import type { MemoryRecord } from '../../../src/protocol/memory/records.ts';
import type { TokensTaken } from '../../../src/protocol/schemas/session.ts';
import { diskFiles } from '../../../src/store/disk/files.ts';
import { sessionId } from '../../support/ids.ts';
import { aSession } from '../../store/builders.ts';
import { coreFixture, never, type CoreFixture } from '../coreFixture.ts';
import { restarted } from '../turns/restarted.ts';

const filler = 'words that say little '.repeat(14);
const limit = 4096;

/** A session `s` with virtual memory, after so many turns. */
async function longTalk(turns: number, change?: (own: CoreParts) => CoreParts): Promise<CoreFixture> {
  const fixture = await coreFixture({}, diskFiles, change);
  await fixture.cwm.createSession({ id: 's', memory: { enableVm: true }, tools: { policy: 'auto-approve' } });
  for (let turn = 0; turn < turns; turn++) await say(fixture, `Question ${turn}: ${filler}`);
  return fixture;
}

const say = ({ cwm }: Pick<CoreFixture, 'cwm'>, text: string) =>
  cwm.send({ session: 's', text, maxTokens: 64 }, never());

/** Tokens of the prompts from now on. */
function prompts({ engine }: CoreFixture): number[] {
  const counts: number[] = [];
  const generate = engine.generate.bind(engine);
  engine.generate = async (request, onPiece, signal) => {
    const ids = request.promptIds ?? (await engine.tokenize(request.messages, request.addGenerationPrompt, signal));
    counts.push(ids.length);
    return generate(request, onPiece, signal);
  };
  return counts;
}

/** Ends the process in the middle of an answer, with what had come of it on the disk. */
async function crashInAnswer(fixture: CoreFixture): Promise<void> {
  fixture.engine.answer = 'Because air scatters blue light.';
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const append = vi.spyOn(fixture.store.answers, 'append');
  const reached = Promise.withResolvers<void>();
  fixture.engine.breaksAfter = {
    words: 3,
    by: () => {
      vi.advanceTimersByTime(batchMs);
      reached.resolve();
      return new Promise(() => undefined);
    },
  };
  void say(fixture, 'Why is the sky blue?').catch(() => undefined);
  await reached.promise;
  vi.useRealTimers();
  await append.mock.results[0]?.value;
}

describe('what leaves the prompt', () => {
  test('EC-040 after a crash in an answer the session has the token ids of before, whose segments it knows', async () => {
    const fixture = await longTalk(10);
    const before = (await fixture.cwm.getSession({ session: 's' })).tokens;
    expect(before?.segments?.length).toBeGreaterThan(0);
    await crashInAnswer(fixture);
    const cwm = await restarted(fixture);
    expect((await cwm.listMessages({ session: 's', limit: 100 })).items.at(-1)?.cut).toBe('crashed');
    expect((await cwm.getSession({ session: 's' })).tokens).toEqual(before);
  });

  test('token ids that lost the names of their segments are no measure of the conversation: the next prompt fits the limit', async () => {
    const fixture = await longTalk(0);
    fixture.engine.noToolsWhy = 'This server takes no tools.';
    for (let turn = 0; turn < 14; turn++) await say(fixture, `Question ${turn}: ${filler}`);
    const session = (await fixture.store.sessions.get(sessionId('s')))!;
    const { segments, ...tokens } = session.tokens!;
    expect(segments?.length).toBeGreaterThan(0);
    await fixture.store.sessions.update({ ...session, version: session.version + 1, tokens });
    const counts = prompts(fixture);
    await say(fixture, 'And now?');
    expect(Math.max(...counts)).toBeLessThan(limit);
  });

  test('pictures take room, which the server does not count; a guess at it refuses no request', async () => {
    const fixture = await longTalk(0);
    fixture.engine.takesPictures = true;
    const images = [Buffer.from('\x89PNG\r\n\x1a\nred', 'latin1').toString('base64')];
    const look = () => fixture.cwm.send({ session: 's', text: 'What is this?', images, maxTokens: 64 }, never());
    for (let turn = 0; turn < 3; turn++) await look();
    const { segments } = await fixture.cwm.memoryState({ session: 's' });
    expect(segments.length).toBeGreaterThan(0);
    const many = [...images, ...images, ...images];
    expect(
      (await fixture.cwm.send({ session: 's', text: 'And these?', images: many, maxTokens: 64 }, never())).text,
    ).toBe('fine');
  });

  test('S1-35 a summary is counted as a request of its session', async () => {
    const taken: TokensTaken[] = [];
    let requests = 0;
    const fixture = await longTalk(0, (own) => ({ ...own, onTook: (_, each) => void taken.push(each) }));
    fixture.engine.onCall = async (call) => void (requests += call === 'generate' ? 1 : 0);
    for (let turn = 0; turn < 12; turn++) await say(fixture, `Question ${turn}: ${filler}`);
    expect(requests).toBeGreaterThan(12);
    expect(taken).toHaveLength(requests);
  });
});

describe('what outlives a summary', () => {
  test('older segments become one earlier where the server computes them again with each batch', async () => {
    /** Segments of a prompt, at most. @param reuses tokens of a prompt that has so many in common with the last one and its answer. */
    const most = async (reuses: (common: number, before: number) => number): Promise<number> => {
      const fixture = await longTalk(0);
      fixture.engine.model = { ...fixture.engine.model, maxModelLen: 8192 };
      const generate = fixture.engine.generate.bind(fixture.engine);
      let last: readonly number[] = [];
      fixture.engine.generate = async (request, onPiece, signal) => {
        const given = await generate(request, onPiece, signal);
        const { promptIds, outputIds, reuse } = given;
        const cachedTokens = reuses(commonPrefixLength(last, promptIds), last.length);
        last = [...promptIds, ...outputIds];
        return { ...given, reuse: { ...reuse, cachedTokens, cachedTokensFrom: 'usage' } };
      };
      let segments = 0;
      for (let turn = 0; turn < 36; turn++) {
        await say(fixture, `Question ${turn}: ${filler.repeat(8)}`);
        segments = Math.max(segments, (await fixture.cwm.memoryState({ session: 's' })).segments.length);
      }
      return segments;
    };
    const lossy = await most((common, before) => (common < before ? 0 : common));
    expect(lossy).toBeGreaterThan(1);
    expect(lossy).toBeLessThan(await most((common) => common));
  });

  test('S1-43 is the latest of the decisions, where there is no room for all: it may take back an earlier one', () => {
    const claims = Array.from({ length: 40 }, (_, at) => ({ text: `We decided: item ${at + 10} is called heron.` }));
    const kept = strongestClaims([{ text: 'We use tabs, and no spaces anywhere else.' }, ...claims], 400);
    expect(kept.length).toBeGreaterThan(2);
    expect(kept).toEqual(claims.slice(-kept.length));
  });

  test('S1-43 of a summary of summaries, both ends stand in the next one; its record holds no more than the prompt has of it', async () => {
    const fixture = await longTalk(0);
    fixture.engine.model = { ...fixture.engine.model, maxModelLen: 3072 };
    const generate = fixture.engine.generate.bind(fixture.engine);
    let made = 0;
    fixture.engine.generate = (request, onPiece, signal) => {
      fixture.engine.answer = request.messages.at(-1)?.content.startsWith('Summarise') ? `Part ${made++}.` : 'fine';
      return generate(request, onPiece, signal);
    };
    for (let turn = 0; turn < 70; turn++) await say(fixture, `Question ${turn}: ${filler}`);
    const records = await fixture.store.memory.load(sessionId('s'));
    const folds = records.flatMap((each) => (each.type === 'segment' && each.covers ? [each] : []));
    expect(folds.length).toBeGreaterThan(3);
    const parts = (folds.at(-1)?.text.match(/Part \d+/g) ?? []).map((part) => Number(part.slice(5)));
    const newest = parts.at(-1) ?? 0;
    expect(newest).toBeGreaterThan(10);
    expect(parts).toEqual(expect.arrayContaining([0, newest - 1]));
    for (const { summary, text } of folds) expect(summary.length).toBeLessThan(text.length);
  });
});

describe('the memory of a session', () => {
  test('is one, also for two that ask for it while it is read, and is read again after a failure', async () => {
    let loads = 0;
    const memories = new Memories({
      load: async (): Promise<readonly MemoryRecord[]> => {
        if (loads++ === 0) throw new Error('The disk is slow.');
        return [];
      },
      append: async () => undefined,
      notes: async () => [],
      changeNotes: async () => undefined,
    });
    const session = aSession();
    await expect(memories.of(session)).rejects.toThrow('slow');
    const [one, other] = await Promise.all([memories.of(session), memories.of(session)]);
    expect(one).toBe(other);
    expect(loads).toBe(2);
  });

  test('of a copy has nothing of what comes behind its last message', async () => {
    const fixture = await longTalk(8);
    await fixture.cwm.freeze({ session: 's', window: 'w', checkpoint: true }, never());
    for (let turn = 0; turn < 10; turn++) await say(fixture, `Later ${turn}: ${filler}`);
    await fixture.cwm.thaw({ window: 'w', session: 't' }, never());
    const { items } = await fixture.cwm.listMessages({ session: 't', limit: 100 });
    const ids = items.map(({ id }) => id);
    const records = await fixture.store.memory.load(sessionId('s'));
    const expected = records.filter(
      (record) =>
        (record.type === 'segment' && ids.includes(record.to)) ||
        (record.type === 'turn' && ids.includes(record.answer)),
    );
    expect(expected.filter(({ type }) => type === 'segment').length).toBeGreaterThan(0);
    expect(await fixture.store.memory.load(sessionId('t'))).toEqual(expected);
    expect(JSON.stringify(expected)).not.toContain('Later');
  });
});
