import { join } from 'node:path';

import { afterEach, expect, test } from 'vitest';

import { countedTalk, sumOf, type CountedTalk } from '../../../bench/memory/countedTalk.ts';
import { VllmEngine } from '../../../src/engines/vllm/vllmEngine.ts';
import { isNightly } from '../../support/nightly.ts';
import { noteFigure } from './figures.ts';
import { vllmModel } from './vllmModel.ts';
import { startVllm } from './vllmServer.ts';

const never = new AbortController().signal;
const template = join(import.meta.dirname, '..', 'toolCalls', 'templates', 'hermes.jinja');
const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** What it computes of a conversation of several times its context; a script answers, and its decisions come back. */
async function talkOn(
  label: string,
  url: string,
  size: { readonly turns: number; readonly limit: number },
): Promise<CountedTalk> {
  const engine = new VllmEngine({ spec: label, connect: async () => ({ url }) });
  cleanUps.push(() => engine.close());
  const talked = await countedTalk(engine, size, never);
  const { requests, sent, reused, computed, sealedComputed, summaries, summaryComputed, largest, over } = talked;
  noteFigure(
    `${label}: ${size.turns} turns of ${size.limit} tokens at most: ${requests} requests, ${sent} tokens sent, ${reused} reused, ${computed} computed ` +
      `(sealed segments by prefixes: ${Math.round(sealedComputed)}), ${summaryComputed} for ${summaries.length} summaries; the largest ${largest}, ${over} over; ` +
      `${talked.recalled} of ${talked.asked} decisions, ${sumOf(talked.faults)} faults`,
  );
  expect(talked).toMatchObject({ over: 0, recalled: 5, asked: 5, inPrompt: 5, wholeOriginals: 5 });
  expect(Math.max(...talked.faults)).toBeLessThanOrEqual(2);
  expect(sumOf(talked.faults)).toBeLessThanOrEqual(10);
  expect(talked.stats.thrash).toBeLessThan(0.5);
  expect(talked.stats.effective).toBeGreaterThan(0.6);
  return talked;
}

/** At night as long as the conversation that the promised shares are about; 60 turns are dominated by what every turn says anew. */
const vllmSize = isNightly ? { turns: 400, limit: 32_000 } : { turns: 60, limit: 8192 };

test(
  'N20 on vLLM a conversation of several times the context fits, stays warm, and its decisions come back',
  { timeout: isNightly ? 3_600_000 : 600_000 },
  async () => {
    const model = await vllmModel('tiny', { signal: never, log: (line) => console.log(line) });
    const start = { model, connector: 'none', toolTemplate: template, maxModelLen: vllmSize.limit } as const;
    const server = await startVllm(start, never);
    cleanUps.push(() => server.stop());
    const { sent, reused, computed, sealedComputed } = await talkOn('vLLM', server.url, vllmSize);
    expect(reused).toBeGreaterThan((isNightly ? 0.98 : 0.88) * sent);
    expect(computed).toBeLessThan((isNightly ? 1.3 : 2) * sealedComputed);
  },
);
