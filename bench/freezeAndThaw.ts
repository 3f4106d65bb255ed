import { fileURLToPath } from 'node:url';
import { median, mustHold, timed, type Benchmark, type Figure } from './benchmark.ts';
import { withPassingBackend } from './passingBackend.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const runs = 3;
/** Those of N12 and N13; at 2,048 tokens, what an operation costs besides the context's size. */
const limits = [
  { tokens: 1024, freezeMs: 100, thawMs: 500 },
  { tokens: 2048, freezeMs: null, thawMs: 60 },
  { tokens: 8192, freezeMs: 500, thawMs: 2000 },
  { tokens: 32_512, freezeMs: 2000, thawMs: 5000 },
] as const;

/** Whole operations through the backend, on a warm engine, against the prefill that they save. */
export const freezeAndThaw: Benchmark = {
  ids: ['N12', 'N13'],
  async run(signal) {
    return withPassingBackend(async (client) => {
      const figures: Figure[] = [];
      for (const { tokens, freezeMs, thawMs } of limits) {
        const session = `s${tokens}`;
        await client.call('createSession', { id: session, engine: 'embedded' }, { signal });
        const files = { paths: ['src', 'docs'], cwd: root, maxTokens: tokens };
        const primed = await client.call('prime', { session, ...files }, { signal });
        const prefill = primed.timeToFirstTokenMs ?? Number.NaN;
        const freezes: number[] = [];
        const thaws: number[] = [];
        for (let run = 0; run < runs; run++) {
          const window = `w${tokens}-${run}`;
          const frozen = await timed(() => client.call('freeze', { session, window, checkpoint: true }, { signal }));
          const thawed = await timed(() => client.call('thaw', { window }, { signal }));
          mustHold(
            frozen.result.verdict === 'proven' && thawed.result.verdict === 'proven',
            'freeze and thaw are proven',
          );
          freezes.push(frozen.ms);
          thaws.push(thawed.ms);
        }
        const baseline = { what: 'prefill, warm engine', value: prefill };
        const figure = (id: string, what: string, value: number, limitMs: number | null): Figure => ({
          id,
          what: `${what} ${primed.promptTokens} tokens`,
          unit: 'ms',
          value,
          baseline,
          ratio: prefill / value,
          wanted: limitMs === null ? '' : `< ${limitMs} ms`,
          met: limitMs === null || value < limitMs,
          runs,
        });
        figures.push(figure('N12', 'freeze', median(freezes), freezeMs), figure('N13', 'thaw', median(thaws), thawMs));
      }
      return figures;
    });
  },
};
