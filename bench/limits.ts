import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { VllmEngine } from '../src/engines/vllm/vllmEngine.ts';
import { FakeVllm } from '../test/fakes/fakeVllm.ts';
import { mustHold, timed, type Benchmark, type Figure } from './benchmark.ts';
import { coreWith } from './coreWith.ts';
import { withPassingBackend } from './passingBackend.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const mebibyte = 1024 * 1024;
const longTokens = 131_072;
const atOnce = 10;

/** The largest windows that are promised to work, and ten operations at once. */
export const limits: Benchmark = {
  ids: ['N15'],
  async run(signal) {
    return [...(await longWindow(signal)), ...(await manyAtOnce(signal))];
  },
};

/** A window of 128K tokens on an engine that computes nothing, so that only the product's own time is left. */
async function longWindow(signal: AbortSignal): Promise<Figure[]> {
  const faults = { maxModelLen: 2 * longTokens };
  const server = await FakeVllm.start({ faults, capacityBlocks: longTokens / 8 });
  const engine = new VllmEngine({ spec: server.url, connect: async () => ({ url: server.url }) });
  try {
    await using core = await coreWith(engine);
    await core.cwm.createSession({ id: 's' });
    await core.cwm.send({ session: 's', text: 'x'.repeat(longTokens - 64), maxTokens: 32 }, signal);
    const frozen = await timed(() => core.cwm.freeze({ session: 's', window: 'w' }, signal));
    const thawed = await timed(() => core.cwm.thaw({ window: 'w' }, signal));
    mustHold(
      frozen.result.verdict === 'reused' && thawed.result.verdict === 'reused',
      'freeze and thaw have all reused',
    );
    const tokens = `${(thawed.result.promptTokens ?? 0).toLocaleString('en-US')} tokens`;
    const directory = path.join(core.directory, 'windows', 'w');
    const sizes = await Promise.all((await readdir(directory)).map((name) => stat(path.join(directory, name))));
    return [
      figure(`freeze ${tokens} on a server that computes nothing`, 'ms', frozen.ms, 5000),
      figure(`thaw ${tokens} there`, 'ms', thawed.ms, 10_000),
      figure(
        `records of a window of ${tokens}`,
        'bytes',
        sizes.reduce((sum, { size }) => sum + size, 0),
        8 * mebibyte,
      ),
    ];
  } finally {
    await engine.close();
    await server.stop();
  }
}

async function manyAtOnce(signal: AbortSignal): Promise<Figure[]> {
  return withPassingBackend(async (client) => {
    const sessions = Array.from({ length: atOnce }, (_, at) => `s-${at}`);
    for (const session of sessions) {
      await client.call('createSession', { id: session, engine: 'embedded' }, { signal });
      await client.call('prime', { session, paths: ['src/base'], cwd: root, maxTokens: 512 }, { signal });
    }
    const freezes = await timed(() =>
      Promise.all(sessions.map((session) => client.call('freeze', { session, window: `w-${session}` }, { signal }))),
    );
    mustHold(
      freezes.result.every(({ verdict }) => verdict === 'proven'),
      'every freeze is proven',
    );
    return [figure(`${atOnce} freezes at once`, 'ms', freezes.ms, 5000)];
  });
}

const figure = (what: string, unit: 'ms' | 'bytes', value: number, limit: number): Figure => ({
  id: 'N15',
  what,
  unit,
  value,
  baseline: null,
  ratio: null,
  wanted: unit === 'ms' ? `< ${limit} ms` : `< ${limit / mebibyte} MiB`,
  met: value < limit,
  runs: 1,
});
