import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { isNightly } from '../../support/nightly.ts';
import { noteFigure } from './figures.ts';
import { FlippedSlot, type BitKind } from './flippedSlot.ts';
import { gemmaModel } from './gemmaModel.ts';
import { llamaModel } from './llamaModel.ts';
import { startLlamaServer } from './llamaServer.ts';
import { pseudoRandom } from './pseudoRandom.ts';
import { missRates, type Flip, type MissRate } from './missRate.ts';

/*
 * What each check of content misses of one flipped bit in a slot file of a real llama-server. A miss moves one of the next 32 tokens, or a
 * log-probability of theirs beyond the engine's noise, and goes unseen. `CWM_FLIPS=MODEL=N,…` chooses how many; by night 3,000 for each model.
 */

const never = new AbortController().signal;
const wanted = new Map(
  (process.env['CWM_FLIPS'] ?? '').split(',').flatMap((part) => {
    const [model, count] = part.split('=');
    return model && count ? [[model, Number(count)] as const] : [];
  }),
);
const text = (await readFile(join(import.meta.dirname, '..', '..', '..', 'README.md'), 'utf8')).slice(0, 2600);
const tables: (MissRate & { readonly model: string; readonly bits: BitKind })[] = [];

afterAll(() => {
  const folder = join(import.meta.dirname, '..', '..', '..', 'test-results');
  mkdirSync(folder, { recursive: true });
  const only = tables.length === 0 ? 'none' : [...new Set(tables.map(({ model }) => model))].join('-');
  writeFileSync(join(folder, `slot-flips-${only}.json`), JSON.stringify(tables, null, 2));
});

describe('one flipped bit in a slot file', () => {
  test.for([
    { model: 'noise', path: () => llamaModel({ signal: never }), few: 20 },
    { model: 'gemma', path: async () => gemmaModel(), few: 4 },
  ])(
    '$model: no check misses more than one token at the end does',
    { timeout: 12 * 3_600_000 },
    async ({ model, path, few }) => {
      const slotDir = await mkdtemp(join(tmpdir(), 'cwm-flips-'));
      const modelPath = await path();
      const start = () =>
        startLlamaServer({ modelPath, slotDir, servedName: model, contextTokens: 4096, slots: 1 }, never);
      const slot = await FlippedSlot.save(start, slotDir, text);
      try {
        for (const bits of ['any', 'high'] as const) {
          const count = wanted.get(model) ?? (isNightly ? 1_500 : few / 2);
          const random = pseudoRandom(bits === 'any' ? 1 : 2);
          const flips: Flip[] = [];
          while (flips.length < count) flips.push(await slot.flip(bits, random));
          for (const rate of count === 0 ? [] : missRates(flips)) {
            tables.push({ model, bits, ...rate });
            noteFigure(
              `llama-server, ${model}, ${bits} bits, ${rate.check}: ${rate.misses} of ${rate.flips} missed ` +
                `(below ${(100 * rate.upperBound).toFixed(1)} % at 95 %), ${rate.wrongUnseen} with another token; ${rate.moving} moved the answer`,
            );
          }
          const [atTheEnd, ...others] = missRates(flips).map(({ misses }) => misses);
          for (const misses of others) expect(misses).toBeLessThanOrEqual(atTheEnd ?? 0);
        }
      } finally {
        await slot.close();
        await rm(slotDir, { recursive: true, force: true });
      }
    },
  );
});
