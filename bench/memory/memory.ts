import type { Engine } from '../../src/core/ports/engine.ts';
import { CountingEngine } from '../../test/core/memory/endless/countingEngine.ts';
import { systemPrompt, TraceTalk } from '../../test/core/memory/endless/talkTrace.ts';
import { makeTrace } from '../../test/core/memory/endless/trace.ts';
import { coreWith } from '../coreWith.ts';
import { mustHold, type Benchmark, type Figure } from '../benchmark.ts';
import { chukRows } from './chuk.ts';
import { policies, runPolicy, type PolicyRow } from './policies.ts';

const turns = 400;
const limit = 32_000;

/**
 * A conversation of 400 turns and five times the limit, beside what other policies come to with the same texts. An engine that computes nothing
 * counts what each prompt has in common with the last prompt and its answer.
 */
export const memory: Benchmark = {
  ids: ['MEMORY'],
  async run(signal, { chuk }) {
    const given = { trace: makeTrace(turns), systemPrompt, limit };
    const rows = policies.map(({ name, make }) => ({ name, row: runPolicy(make, given) }));
    const others = chuk === undefined ? [] : await chukRows(chuk, given, signal);
    const talk = new TraceTalk(turns, (model) => new CountingEngine(limit, model));
    // Checkpoints would ask for KV, which this engine has none of.
    await using made = await coreWith(talk.engine as unknown as Engine, undefined, { checkpoints: { enabled: false } });
    const { turns: talked, faults, recalled, asked, inPrompt, wholeOriginals } = await talk.talk(made.cwm);
    const requests = talked.flat();
    const needed = talk.engine.counted.map((request) => request.needed);
    const sent = sumOf(requests.map((request) => request.sent));
    const computed = sumOf(requests.map((request) => request.sent - request.reused));
    mustHold(wholeOriginals === recalled, 'each page comes back byte for byte');
    const ours: PolicyRow = {
      largest: Math.max(...requests.map((request) => request.sent)),
      over: needed.filter((each) => each > limit).length,
      sent,
      computed,
      decisions: inPrompt,
    };
    const sealed = rows.at(-1)?.row;
    if (!sealed) throw new TypeError('no policy to compare with');
    const most = Math.max(...faults);
    return [
      ...rows.map(({ name, row }) => reused(name, row, null)),
      ...others.map((row) => reused(`chuk-ai-session-manager, ${row.mode}`, row, null)),
      reused('ours, with its faults', ours, 98),
      figure(`tokens computed, ${turns} turns of ${limit.toLocaleString('en-US')} tokens at most`, computed, {
        unit: 'tokens',
        baseline: { what: 'sealed segments without a way back', value: sealed.computed },
        wanted: 'at most 1.3 × as many',
        met: computed <= 1.3 * sealed.computed,
      }),
      figure('the largest request, its answer included', Math.max(...needed), {
        unit: 'tokens',
        wanted: `at most ${limit.toLocaleString('en-US')}`,
        met: ours.over === 0,
      }),
      figure(
        `decisions found, of ${asked}; ${sumOf(faults)} faults in all, at most ${most} in a turn`,
        (recalled / asked) * 100,
        {
          unit: '%',
          wanted: '100 %, at most 2 faults a turn and 10 in all',
          met: recalled === asked && inPrompt === asked && most <= 2 && sumOf(faults) <= 10,
        },
      ),
    ];
  },
};

const reused = (name: string, { sent, computed, decisions, over }: PolicyRow, wanted: number | null): Figure => {
  const value = (1 - computed / sent) * 100;
  const counts = [sent, computed].map((count) => Math.round(count).toLocaleString('en-US'));
  return figure(
    `prompt tokens reused: ${name}; ${counts[0]} sent, ${counts[1]} computed, ${over} over, ${decisions} of 5 decisions`,
    value,
    {
      unit: '%',
      wanted: wanted === null ? '' : `at least ${wanted} %`,
      met: wanted === null || value >= wanted,
    },
  );
};

const sumOf = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);

function figure(
  what: string,
  value: number,
  { baseline = null, ...given }: Pick<Figure, 'unit' | 'wanted' | 'met'> & Partial<Pick<Figure, 'baseline'>>,
): Figure {
  const ratio = baseline ? baseline.value / value : null;
  return { id: 'MEMORY', what, value, baseline, ratio, runs: 1, ...given };
}
