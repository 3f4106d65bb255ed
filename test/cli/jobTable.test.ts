import { expect, test } from 'vitest';
import { jobTable } from '../../src/cli/demo/jobTable.ts';
import type { MainJobResult } from '../../src/cli/demo/mainJob.ts';

const result: MainJobResult = {
  tokens: 761,
  blockTokens: 32,
  prefillMs: 3400,
  freezeMs: 1000,
  kvBytes: 18_000_000,
  thawMs: 568,
  cachedTokens: 736,
  floorTokens: 736,
  controlCachedTokens: 0,
  verdict: 'proven',
  tier: 'disk',
  identicalNextTokens: 32,
  comparedTokens: 32,
  speedup: 6,
  question: 'It was white until',
  answer: '1954,\n when a fishing boat',
  answerWithout: 'the day of the fire',
};

test('the demo on a real model shows its answer beside what it says without the context', () => {
  expect(jobTable(result)).toMatch(
    /asked +"It was white until"\n +its answer +"1954, when a fishing boat"\n +without the context +"the day of the fire"\n/,
  );
});

test('the generated model says nothing that anybody reads', () => {
  expect(jobTable({ ...result, answer: null, answerWithout: null })).not.toMatch(/asked|answer|without/);
});
