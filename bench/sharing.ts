import { fileURLToPath } from 'node:url';
import { mustHold, type Benchmark } from './benchmark.ts';
import { withPassingBackend } from './passingBackend.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What a clone and a second freeze write, against the first freeze's KV. */
export const sharing: Benchmark = {
  ids: ['CLONE', 'REFREEZE'],
  async run(signal) {
    return withPassingBackend(async (client) => {
      const session = 's';
      await client.call('createSession', { id: session, engine: 'embedded' }, { signal });
      await client.call('prime', { session, paths: ['src/base', 'src/core'], cwd: root, maxTokens: 2048 }, { signal });
      const first = await client.call('freeze', { session, window: 'first', checkpoint: true }, { signal });
      const cloned = await client.call('clone', { window: 'first', target: 'clone' }, { signal });
      await client.call('send', { session, text: 'And then?', maxTokens: 32 }, { signal });
      const again = await client.call('freeze', { session, window: 'again' }, { signal });
      mustHold(first.verdict === 'proven' && again.verdict === 'proven', 'both freezes are proven');
      const total = again.kvBytes ?? Number.NaN;
      const added = total - (first.kvBytes ?? Number.NaN);
      const written = again.kvBytesWritten ?? Number.NaN;
      return [
        {
          id: 'CLONE',
          what: 'KV written by a clone',
          unit: 'bytes',
          value: cloned.kvBytesWritten ?? Number.NaN,
          baseline: { what: 'KV of the window', value: first.kvBytes ?? Number.NaN },
          ratio: null,
          wanted: '0 bytes',
          met: cloned.kvBytesWritten === 0,
          runs: 1,
        },
        {
          id: 'REFREEZE',
          what: 'KV written by freezing again after one more turn',
          unit: 'bytes',
          value: written,
          baseline: { what: 'KV of the window', value: total },
          ratio: written > 0 ? total / written : null,
          wanted: `no more than the new blocks (${added} bytes)`,
          met: written <= added,
          runs: 1,
        },
      ];
    });
  },
};
