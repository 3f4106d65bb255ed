import { fileURLToPath } from 'node:url';
import { keptItsPromise, runMainJob } from '../src/cli/demo/mainJob.ts';
import { mustHold, type Benchmark } from './benchmark.ts';
import { withPassingBackend } from './passingBackend.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const tokens = 8192;

/** Thaw after `kill -9` of backend and engine, against prefill of the same context on the same warm engine. */
export const mainJob: Benchmark = {
  ids: ['MAIN'],
  async run(signal) {
    return withPassingBackend(async (client) => {
      const job = { paths: ['src', 'docs'], cwd: root, tokens, comparedTokens: 32, engine: 'embedded' };
      const result = await runMainJob(client, { ...job, onStep: () => undefined }, signal);
      mustHold(keptItsPromise(result), `the main job ended ${result.verdict}: ${JSON.stringify(result)}`);
      const prefillMs = result.prefillMs ?? Number.NaN;
      return [
        {
          id: 'MAIN',
          what: `thaw ${result.tokens} tokens, proven from ${result.tier}, ${result.identicalNextTokens}/${result.comparedTokens} next tokens`,
          unit: 'ms',
          value: result.thawMs,
          baseline: { what: 'prefill, warm engine', value: prefillMs },
          ratio: prefillMs / result.thawMs,
          wanted: 'ratio ≥ 100',
          met: prefillMs / result.thawMs >= 100,
          runs: 1,
        },
      ];
    });
  },
};
