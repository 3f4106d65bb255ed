import { describe, expect, test } from 'vitest';
import type { Receipt } from '../../../src/protocol/schemas/receipt.ts';
import { coreFixture, never, savedWindow, type CoreFixture } from '../coreFixture.ts';
import { fc } from '../../support/fc.ts';

type Step =
  | { readonly kind: 'restart' | 'evict' | 'turn' | 'freeze' }
  | { readonly kind: 'thaw'; readonly window: 'w' | 'clone' }
  | { readonly kind: 'abort' | 'lose' | 'damage' | 'busy'; readonly count: number }
  | { readonly kind: 'logprobs' | 'silence'; readonly isOn: boolean };

const counted = (kind: 'abort' | 'lose' | 'damage' | 'busy'): fc.Arbitrary<Step> =>
  fc.record({ kind: fc.constant(kind), count: fc.nat(14) });

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('thaw' as const), window: fc.constantFrom('w', 'clone') }) },
    { weight: 4, arbitrary: fc.constant({ kind: 'restart' as const }) },
    fc.record({ kind: fc.constantFrom('evict', 'turn', 'freeze') }),
    counted('abort'),
    counted('lose'),
    counted('damage'),
    counted('busy'),
    fc.record({ kind: fc.constantFrom('logprobs', 'silence'), isOn: fc.boolean() }),
  ),
  { maxLength: 12 },
);

const engines = fc.record({
  filesAreElsewhere: fc.boolean(),
  recomputesInexactly: fc.boolean(),
  blocksInPiece: fc.constantFrom(1, 3),
  heedsSalts: fc.constantFrom(true, true, true, false),
});

/** What is damaged shows in no stat field. */
async function take({ cwm, engine }: CoreFixture, step: Exclude<Step, { kind: 'thaw' }>, index: number): Promise<void> {
  switch (step.kind) {
    case 'restart':
      return engine.restart();
    case 'evict':
      return engine.evict();
    case 'turn':
      await cwm.send({ session: 's', text: 'go on' }, never());
      return;
    case 'freeze':
      await cwm.freeze({ session: 's', window: `w${index}`, checkpoint: true }, never());
      return;
    case 'lose':
      return engine.lose(step.count);
    case 'damage':
      if (step.count < engine.diskBlocks) engine.damage(step.count, { silently: true });
      return;
    case 'busy':
      engine.busyMeasurements = step.count;
      return;
    case 'logprobs':
      engine.hasLogprobs = step.isOn;
      return;
    case 'silence':
      engine.isSilent = step.isOn;
      return;
    case 'abort': {
      const controller = new AbortController();
      let calls = 0;
      engine.onCall = async () => {
        if (calls++ === step.count) controller.abort();
      };
      await cwm.thaw({ window: 'w' }, controller.signal).catch(() => undefined);
      engine.onCall = async () => undefined;
    }
  }
}

const isContentSeen = ({ verdict, content }: Receipt): boolean =>
  verdict === 'proven' || (verdict === 'reused' && content.canary === 'agreed');

describe('whatever happens to a window and its engine', () => {
  test('proven is true, what is whole is not called damaged, and what is claimed can be gone on from', async () => {
    const property = fc.asyncProperty(engines, steps, async (kind, sequence) => {
      const fixture = await coreFixture();
      const { cwm, engine } = fixture;
      Object.assign(engine, kind);
      await savedWindow(fixture);
      await cwm.clone({ window: 'w', target: 'clone' }, never());
      for (const [index, step] of sequence.entries()) {
        if (step.kind !== 'thaw') {
          await take(fixture, step, index);
          continue;
        }
        engine.hasReusedWrongBytes = false;
        const receipt = await cwm.thaw({ window: step.window }, never());
        const { verdict, repair } = receipt;
        if (verdict === 'proven') expect(receipt.content.checksums).toBe('agreed');
        if (isContentSeen(receipt)) expect(engine.hasReusedWrongBytes).toBe(false);
        // Without salts nothing can be computed afresh, to tell damage from rounding.
        if (verdict === 'damaged' && kind.heedsSalts) expect(sequence.map((one) => one.kind)).toContain('damage');
        engine.hasReusedWrongBytes = false;
        await cwm.send({ session: receipt.session, text: 'and now?' }, never());
        const isToldGood = isContentSeen(receipt) || verdict === 'rebuilt';
        if (isToldGood || repair === 'salt-advanced') expect(engine.hasReusedWrongBytes).toBe(false);
      }

      if (kind.filesAreElsewhere || !kind.heedsSalts || kind.blocksInPiece > 1) return;
      Object.assign(engine, { hasLogprobs: true, isSilent: false, busyMeasurements: 0 });
      const verdicts: string[] = [];
      for (let thaws = 0; thaws < 3 && verdicts.at(-1) !== 'proven'; thaws++) {
        engine.restart();
        verdicts.push((await cwm.thaw({ window: 'w' }, never())).verdict ?? '');
      }
      expect(verdicts.at(-1), String(verdicts)).toBe('proven');
    });
    await fc.assert(property, { numRuns: Number(process.env['RUNS'] ?? 30), seed: Number(process.env['SEED'] ?? 1) });
  }, 120_000);
});
