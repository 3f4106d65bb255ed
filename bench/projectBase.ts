import { fileURLToPath, pathToFileURL } from 'node:url';
import { mustHold, type Benchmark } from './benchmark.ts';
import { withPassingBackend } from './passingBackend.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The first token of a new session on a project's base, against that of the base itself, which had to be computed. */
export const projectBase: Benchmark = {
  ids: ['BASE'],
  async run(signal) {
    return withPassingBackend(async (client) => {
      const project = pathToFileURL(root).href;
      const paths = ['src/base', 'src/core'];
      const made = await client.call(
        'makeProjectBase',
        { project, paths, maxTokens: 8192, engine: 'embedded' },
        { signal },
      );
      const { base } = made;
      const times: number[] = [];
      for (let run = 0; run < 2; run++) {
        const session = await client.call('createSession', { project, engine: 'embedded' }, { signal });
        mustHold(session.base === base.window, 'a new session begins with the base');
        const sent = await client.call('send', { session: session.id, text: 'And then?', maxTokens: 1 }, { signal });
        mustHold((sent.cachedTokens ?? 0) >= base.tokens - 256, 'a new session reuses the base');
        times.push(sent.timeToFirstTokenMs ?? Number.NaN);
      }
      const [, second = Number.NaN] = times;
      const computed = made.timeToFirstTokenMs ?? Number.NaN;
      return [
        {
          id: 'BASE',
          what: `first token of the second session on a base of ${base.tokens} tokens`,
          unit: 'ms',
          value: second,
          baseline: { what: 'priming the base, same run', value: computed },
          ratio: computed / second,
          wanted: 'ratio ≥ 20',
          met: computed / second >= 20,
          runs: 1,
        },
      ];
    });
  },
};
