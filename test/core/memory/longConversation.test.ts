import { describe, expect, test } from 'vitest';
import { CwmError } from '../../../src/protocol/errors.ts';
import type { SessionId } from '../../../src/protocol/ids.ts';
import type { SendResult } from '../../../src/protocol/schemas/turn.ts';
import { codeOf, coreFixture, never, type CoreFixture } from '../coreFixture.ts';
import { countAtTheWire, type Wire } from './wire.ts';

const limit = 4096;

const memory = { enableVm: true };

async function talk({ cwm }: CoreFixture, turns: number, from = 0): Promise<SendResult[]> {
  const results: SendResult[] = [];
  for (let turn = from; turn < from + turns; turn++) {
    const text = `Question ${turn}: ${'words that say little '.repeat(14)}`;
    results.push(await cwm.send({ session: 's', text, maxTokens: 64 }, never()));
  }
  return results;
}

const isSummaryRequest = (prompt: string): boolean => prompt.includes('Summarise our conversation');

async function longSession(turns: number): Promise<{ fixture: CoreFixture; wire: Wire; results: SendResult[] }> {
  const fixture = await coreFixture();
  const wire = countAtTheWire(fixture);
  await fixture.cwm.createSession({ id: 's', memory });
  return { fixture, wire, results: await talk(fixture, turns) };
}

describe('a conversation that is longer than the model can take', () => {
  test('S1-06 without virtual memory it ends with an error, and nothing is recorded', async () => {
    const fixture = await coreFixture();
    countAtTheWire(fixture);
    await fixture.cwm.createSession({ id: 's', memory: { enableVm: false } });
    expect(await codeOf(talk(fixture, 16))).toBe('CWM-7011');
    expect(await fixture.store.memory.load('s' as SessionId)).toEqual([]);
  });

  test('S1-64 with virtual memory it continues; each request fits the limit, and each message stays in the session', async () => {
    const { fixture, wire, results } = await longSession(16);
    expect(Math.max(...wire.requests)).toBeLessThanOrEqual(limit);
    const { items, total } = await fixture.cwm.listMessages({ session: 's', limit: 100 });
    expect(total).toBe(32);
    expect(items[0]?.content).toMatchObject({ text: expect.stringContaining('Question 0:') as string });
    expect(results.filter(({ memory }) => memory?.replaced).length).toBeGreaterThan(1);
  });

  test('S1-65 a sealed segment never changes, and between two evictions each prompt begins with the one before', async () => {
    const { fixture, wire, results } = await longSession(16);
    const prompts = wire.prompts.filter((prompt) => !isSummaryRequest(prompt));
    for (const [turn, prompt] of prompts.entries()) {
      const before = prompts[turn - 1];
      if (before !== undefined && !results[turn]?.memory?.replaced) expect(prompt.startsWith(before)).toBe(true);
    }
    const records = await fixture.store.memory.load('s' as SessionId);
    const segments = records.flatMap((record) => (record.type === 'segment' ? [record] : []));
    const covered = new Set(segments.flatMap(({ covers = [] }) => covers));
    const texts = segments.filter(({ id }) => !covered.has(id)).map(({ text }) => text);
    expect(texts.length).toBeGreaterThan(1);
    for (const text of texts) expect(prompts.at(-1)).toContain(text);
  });

  test('S1-80 the request for a summary begins with the last prompt, so that nothing of it is computed again', async () => {
    const { wire } = await longSession(10);
    const at = wire.prompts.findIndex(isSummaryRequest);
    expect(at).toBeGreaterThan(0);
    expect(wire.prompts[at]?.startsWith(wire.prompts[at - 1] ?? '-')).toBe(true);
  });
});

describe('bad input for the memory of a conversation', () => {
  test('a model that fails, or says no word, when it should summarise: sentences of the messages stand there, and the turn continues', async () => {
    for (const answer of ['', null]) {
      const fixture = await coreFixture();
      const wire = countAtTheWire(fixture);
      const generate = fixture.engine.generate.bind(fixture.engine);
      fixture.engine.generate = async (request, onPiece, signal) => {
        if (!request.messages.at(-1)?.content.startsWith('Summarise')) return generate(request, onPiece, signal);
        if (answer === null) throw new CwmError('EngineFailed', 'The summariser is broken.');
        return { ...(await generate(request, onPiece, signal)), text: answer };
      };
      await fixture.cwm.createSession({ id: 's', memory });
      await talk(fixture, 8);
      const segments = (await fixture.store.memory.load('s' as SessionId)).filter(({ type }) => type === 'segment');
      expect(segments.length).toBeGreaterThan(0);
      expect(segments).toEqual(segments.map(() => expect.objectContaining({ summaryBy: 'extract' }) as object));
      expect(Math.max(...wire.requests)).toBeLessThanOrEqual(limit);
    }
  });

  test('a summary that is far longer than asked for is cut: the requests fit the limit', async () => {
    const fixture = await coreFixture();
    const wire = countAtTheWire(fixture);
    const generate = fixture.engine.generate.bind(fixture.engine);
    fixture.engine.generate = async (request, onPiece, signal) => {
      const generation = await generate(request, onPiece, signal);
      const isSummary = request.messages.at(-1)?.content.startsWith('Summarise');
      return isSummary ? { ...generation, text: 'The two spoke of words. '.repeat(1000) } : generation;
    };
    await fixture.cwm.createSession({ id: 's', memory });
    await talk(fixture, 8);
    expect(Math.max(...wire.requests)).toBeLessThanOrEqual(limit);
  });

  test('a limit that shrinks between two turns is met by the next request, and nothing is lost', async () => {
    const { fixture, wire } = await longSession(8);
    fixture.engine.model = { ...fixture.engine.model, maxModelLen: 2048 };
    const from = wire.requests.length;
    await talk(fixture, 2, 8);
    const answers = wire.requests.slice(from).filter((_, at) => !isSummaryRequest(wire.prompts[from + at] ?? ''));
    expect(Math.max(...answers)).toBeLessThanOrEqual(2048);
    expect((await fixture.cwm.listMessages({ session: 's', limit: 100 })).total).toBe(20);
  });

  test('an answer that was cut continues within the limit, from the prompt that the model had', async () => {
    const { fixture, wire } = await longSession(8);
    fixture.engine.finishReason = 'length';
    await talk(fixture, 1, 8);
    fixture.engine.finishReason = 'stop';
    await fixture.cwm.continueAnswer({ session: 's', maxTokens: limit }, never());
    expect(wire.requests.at(-1)).toBe(limit);
    expect(wire.prompts.at(-1)?.startsWith(wire.prompts.at(-2) ?? '-')).toBe(true);
    const session = await fixture.store.sessions.get('s' as SessionId);
    expect(session?.tokens?.segments?.length).toBeGreaterThan(0);
  });

  test('tools of the memory come with the first eviction, so that no prompt changes its beginning a turn later', async () => {
    const { fixture, results, wire } = await longSession(8);
    const at = results.findIndex((result) => result.memory?.replaced);
    const answers = fixture.engine.offered.filter((_, request) => !isSummaryRequest(wire.prompts[request] ?? ''));
    const offered = answers.filter((names) => names.includes('page_fault'));
    expect(offered).toHaveLength(results.length - at);
  });
});
