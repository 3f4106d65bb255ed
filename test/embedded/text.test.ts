import { describe, expect, it } from 'vitest';
import { StopStrings } from '../../src/embedded/http/stopStrings.ts';
import { TextStream } from '../../src/embedded/http/textStream.ts';
import { chooseCandidate, logprobAt } from '../../src/embedded/worker/sampling.ts';
import type { Candidates } from '../../src/embedded/worker/workerProtocol.ts';
import { fc } from '../support/fc.ts';

describe('stop strings', () => {
  it('end the text before the first of them, however it is cut into pieces', () => {
    const piece = fc.stringMatching(/^[abc]{0,4}$/);
    const stop = fc.stringMatching(/^[abc]{1,3}$/);
    fc.assert(
      fc.property(fc.array(piece), fc.array(stop, { maxLength: 3 }), (pieces, stops) => {
        const matcher = new StopStrings(stops);
        let shown = '';
        for (const text of pieces) {
          shown += matcher.push(text);
          if (matcher.found !== null) break;
        }
        shown += matcher.end();
        const text = pieces.join('');
        const cuts = stops.map((candidate) => text.indexOf(candidate)).filter((at) => at >= 0);
        if (cuts.length === 0) expect([shown, matcher.found]).toEqual([text, null]);
        // Of overlapping ones the first to be complete ends the text.
        else expect(text.startsWith(shown + (matcher.found ?? 'none'))).toBe(true);
      }),
    );
  });

  it('show at once a text that cannot be the beginning of one', () => {
    const matcher = new StopStrings(['END']);
    expect([matcher.push('some E'), matcher.push('N'), matcher.push('ough'), matcher.push(' END more')]).toEqual([
      'some ',
      '',
      'ENough',
      ' ',
    ]);
    expect(matcher.found).toBe('END');
  });
});

describe('a text stream', () => {
  it('gives a character that is spread over several tokens as a whole', async () => {
    const bytes = [...Buffer.from('a👋ü!')];
    const stream = new TextStream(async (lists) => lists.map((ids) => Buffer.from(ids).toString('utf8')), [120]);
    const pieces: string[] = [];
    for (const id of bytes) pieces.push(await stream.push(id));
    expect(pieces).toEqual(['a', '', '', '', '👋', '', 'ü', '!']);
    expect(await stream.end()).toBe('');
  });

  it('gives the rest when no more tokens come', async () => {
    const stream = new TextStream(async (lists) => lists.map((ids) => Buffer.from(ids).toString('utf8')), []);
    expect(await stream.push(0xf0)).toBe('');
    expect(await stream.end()).toBe('\ufffd');
  });
});

describe('sampling', () => {
  const logits = [3, 2, 1, 0];
  const candidates: Candidates = {
    ids: Uint32Array.of(10, 11, 12, 13),
    logits: Float64Array.from(logits),
    totalWeight: logits.reduce((sum, logit) => sum + Math.exp(logit - 3), 0),
  };
  const share = (temperature: number, topP: number): number[] => {
    const counts = [0, 0, 0, 0];
    for (let step = 0; step < 4000; step++) {
      const index = chooseCandidate(candidates, { temperature, topP, seed: 5 }, step);
      counts[index] = (counts[index] ?? 0) + 1;
    }
    return counts.map((count) => count / 4000);
  };

  it('draws each token with its probability', () => {
    const expected = candidates.logits.map((_, index) => Math.exp(logprobAt(candidates, index)));
    share(1, 1).forEach((value, index) => expect(value).toBeCloseTo(expected[index] ?? 0, 1));
  });

  it('draws from the most probable part only', () => {
    expect(share(1, 0.7).slice(2)).toEqual([0, 0]);
    expect(share(1, 0.01)).toEqual([1, 0, 0, 0]);
  });

  it('at temperature 0 says the best', () => {
    expect(share(0, 1)).toEqual([1, 0, 0, 0]);
  });

  it('gives probabilities that sum to 1 over the vocabulary', () => {
    const total = logits.reduce((sum, _, index) => sum + Math.exp(logprobAt(candidates, index)), 0);
    expect(total).toBeCloseTo(1, 10);
  });
});
