import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import type { FileStore } from '../src/store/fileStore.ts';
import { openStore } from '../src/store/openStore.ts';
import { aMessage } from '../test/store/builders.ts';
import { median, mustHold, timed, type Benchmark } from './benchmark.ts';
import { fillStore } from './bigStore.ts';
import { sessionId } from '../test/support/ids.ts';

const runs = 100;
const id = sessionId('long');

/** What encryption at rest costs, on two stores of the same content that take turns. */
export const encryption: Benchmark = {
  ids: ['ENC'],
  async run() {
    const directory = await mkdtemp(path.join(tmpdir(), 'cwm-bench-'));
    const [plainAt, sealedAt] = [path.join(directory, 'plain'), path.join(directory, 'sealed')];
    try {
      for (const at of [plainAt, sealedAt]) await fillStore(at, { sessions: 10, windows: 100, messages: 200 });
      const keyFile = path.join(directory, 'key');
      const plain = await openStore({ directory: plainAt, clock: systemClock });
      const sealed = await openStore({ directory: sealedAt, clock: systemClock, encryption: { turn: 'on', keyFile } });
      const [added, addedSealed] = await inTurn(plain, sealed, (store, at) =>
        store.messages.append(id, [aMessage(`added-${at}`, 201 + at)]),
      );
      const head = (await plain.sessions.get(id))?.branches['main']?.head ?? null;
      const messageIds = await plain.messages.chain(id, head);
      mustHold(messageIds.length === 200, 'the session has its messages');
      const [read, readSealed] = await inTurn(plain, sealed, (store) => store.messages.load(id, messageIds));
      await plain.close();
      await sealed.close();
      return [figure('add a message, durably', added, addedSealed), figure('read 200 messages', read, readSealed)];
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
};

async function inTurn(
  plain: FileStore,
  sealed: FileStore,
  task: (store: FileStore, at: number) => Promise<unknown>,
): Promise<readonly [number, number]> {
  const times: [number, number][] = [];
  for (let at = 0; at < runs; at++) {
    times.push([(await timed(() => task(plain, at))).ms, (await timed(() => task(sealed, at))).ms]);
  }
  return [median(times.map(([one]) => one)), median(times.map(([, other]) => other))];
}

const figure = (what: string, plain: number, sealed: number) => ({
  id: 'ENC',
  what: `${what}, encrypted`,
  unit: 'ms' as const,
  value: sealed,
  baseline: { what: 'plain', value: plain },
  ratio: sealed / plain,
  wanted: 'at most twice as long',
  met: sealed <= 2 * plain,
  runs,
});
