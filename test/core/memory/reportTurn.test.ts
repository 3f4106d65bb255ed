import { expect, test } from 'vitest';
import { memoryNotes, reportTurn } from '../../../src/core/memory/reportTurn.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import { never } from '../coreFixture.ts';

const segment = { id: 's1', firstSequence: 1, lastSequence: 4, replacedTokens: 300 };
const shown = { budget: { room: 4000 }, layout: [segment], isChanged: true };
const answered = {
  answer: { id: 'm6', sequence: 6, createdAt: '2026-11-20T10:00:00.000Z' },
  generation: { promptIds: Array.from({ length: 500 }), reuse: { promptTokens: 500, cachedTokens: 120 } },
  added: [],
  prefixBreak: null,
};

/** What is recorded and told of an answer, as the server measured it. */
async function reported(reuse: { readonly cachedTokens: number | null }, prefixBreak: { readonly atToken: number }) {
  const records: unknown[] = [];
  const core = {
    memories: {
      of: async () => ({ ratio: 0.9 }),
      record: async (_: unknown, added: readonly unknown[]) => void records.push(...added),
    },
  };
  const generation = { ...answered.generation, reuse: { promptTokens: 500, ...reuse } };
  const told = await reportTurn(
    core as never,
    { session: 's', engine: { tokenize: async () => [] }, shown } as never,
    { ...answered, generation, prefixBreak } as never,
    never(),
  );
  return { record: records[0], told };
}

/** A core whose log of the memory fails with `failure`. */
const report = (failure: Error | null) =>
  reportTurn(
    {
      memories: {
        of: async () => ({ ratio: 0.9 }),
        record: async () => {
          if (failure) throw failure;
        },
      },
    } as never,
    { session: 's', engine: { tokenize: async () => [] }, shown } as never,
    answered as never,
    never(),
  );

test('a turn in which messages left the prompt says what left, and how many tokens that cost', async () => {
  const told = await report(null);
  expect(told).toMatchObject({
    sent: 500,
    reused: 120,
    ratio: 0.9,
    limit: 4000,
    replaced: { segment: 's1', tokens: 300 },
  });
  expect(memoryNotes(told)).toEqual([expect.stringMatching(/^Messages 1 to 4 \(300 tokens\) left the prompt/)]);
});

test('an answer that is stored is not lost where its figures cannot be stored; a fault of the program is no such case', async () => {
  const told = await report(new CwmError('WriteFailed', 'The disk is full.'));
  expect(told).toEqual({ sent: 500, reused: 120, recomputed: 0, ratio: 0.9, limit: 4000 });
  expect(memoryNotes(told)).toEqual([]);
  await expect(report(new TypeError('x is undefined'))).rejects.toThrow(TypeError);
});

test('on a server that reused nothing behind a change, all of the prompt was computed again because of it, and the note says why', async () => {
  const { record, told } = await reported({ cachedTokens: 0 }, { atToken: 120 });
  expect(told).toMatchObject({ sent: 500, reused: 0, recomputed: 500 });
  expect(record).toMatchObject({ recomputed: 500, changedAt: 120 });
  expect(memoryNotes(told)).toEqual([expect.stringContaining('reused nothing of the prompt') as string]);
  // One that reuses what stands in front, and one that says nothing of it.
  const cut = await reported({ cachedTokens: 112 }, { atToken: 120 });
  expect(cut.told?.recomputed).toBe(388);
  expect(memoryNotes(cut.told).join()).not.toContain('reused nothing');
  expect((await reported({ cachedTokens: null }, { atToken: 120 })).told?.recomputed).toBe(380);
});
