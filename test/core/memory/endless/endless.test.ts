import { expect, test } from 'vitest';
import { coreFixture } from '../../coreFixture.ts';
import { CountingEngine } from './countingEngine.ts';
import { TraceTalk, type Talked } from './talkTrace.ts';

test(
  'N20 S1-95 S1-96 in 60 turns of three times the limit each request fits, and five decisions come back with the ids of their pages',
  { timeout: 30_000 },
  async () => {
    const limit = 8000;
    const { talk, talked } = await talkWithin(limit);
    const { recalled, inPrompt, wholeOriginals, asked, faults, summaries } = talked;
    expect(Math.max(...talk.engine.counted.map(({ needed }) => needed))).toBeLessThanOrEqual(limit);
    expect({ recalled, inPrompt, wholeOriginals, asked }).toEqual({
      recalled: 5,
      inPrompt: 5,
      wholeOriginals: 5,
      asked: 5,
    });
    expect(Math.max(...faults)).toBeLessThanOrEqual(2);
    expect(summaries.length).toBeGreaterThan(3);
    const { thrash, effective, tlbHits, tokensInPrompt, tokensSaved } = talked.stats;
    expect(thrash).toBeLessThan(0.5);
    expect(effective).toBeGreaterThan(0.6);
    expect(tlbHits).toBeGreaterThanOrEqual(0);
    // A request refers to each message that it has.
    const references = talked.turns.flat().reduce((sum, { messages }) => sum + messages, 0);
    const faultRate = talked.stats.faults / references;
    expect(faultRate).toBeGreaterThan(0);
    expect(faultRate).toBeLessThan(0.05);
    // What stands for pages that left, beside all the text of the conversation.
    const metadata = ((1 - (effective ?? 0)) * tokensInPrompt) / (tokensInPrompt + tokensSaved);
    expect(metadata).toBeGreaterThan(0);
    expect(metadata).toBeLessThan(0.1);
  },
);

test(
  'S1-80 a request for a summary begins with the last prompt, its tools included, also in the middle of a turn that brought a page back',
  { timeout: 30_000 },
  async () => {
    const { talked } = await talkWithin(7000);
    expect(talked.summaries.length).toBeGreaterThan(3);
    for (const { sent, reused } of talked.summaries) expect(reused).toBeGreaterThan(0.8 * sent);
  },
);

async function talkWithin(limit: number): Promise<{ talk: TraceTalk; talked: Talked }> {
  const talk = new TraceTalk(60, (model) => new CountingEngine(limit, model));
  const { cwm } = await coreFixture({}, undefined, (own) => ({
    ...own,
    engines: { ...own.engines, defaultSpec: talk.engine.spec, get: () => talk.engine as never },
  }));
  return { talk, talked: await talk.talk(cwm) };
}
