import { expect, test } from 'vitest';
import { readSignals } from '../../src/client/signalStream.ts';
import { Random } from '../soak/random.ts';
import { until } from '../support/until.ts';
import { wholeBackends, type WholeBackend } from './support/wholeBackend.ts';

const start = wholeBackends();
const clients = 20;
const changes = 100;

/** What a client shows: the texts of the session, pulled when a signal says so or a number is missing. */
class LossyClient {
  readonly stopped = new AbortController();
  texts: string[] = [];
  heard = 0;
  /** Number of the last signal that it knows of. */
  seen = 0;
  #isWaiting = false;
  #pulling: Promise<void> = Promise.resolve();
  readonly #backend: WholeBackend;

  constructor(backend: WholeBackend, loses: () => boolean) {
    this.#backend = backend;
    void readSignals(
      { record: backend.backend.record, lastSequence: null },
      () => undefined,
      ({ sequence, change }) => {
        // The first one tells where its signals start.
        if (change.type !== 'heartbeat' && loses()) return;
        this.heard++;
        this.seen = sequence;
        if (!this.stopped.signal.aborted) this.pull();
      },
      this.stopped.signal,
    ).catch(() => undefined);
  }

  /** One pull at a time; what comes during one needs one more. */
  pull(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#pulling = this.#pullAfter(this.#pulling);
  }

  async #pullAfter(earlier: Promise<void>): Promise<void> {
    await earlier;
    this.#isWaiting = false;
    const { data } = await this.#backend.client.call('getState', { session: 's' });
    this.texts = (data['texts'] ?? []) as string[];
  }

  async settled(): Promise<void> {
    await this.#pulling;
  }
}

test('S4-40 clients that lose a random 30 % of the signals end with the same text as one that loses none', async () => {
  const backend = await start();
  await backend.client.call('createSession', { id: 's' });
  const chance = new Random(7);
  const all = Array.from(
    { length: clients },
    (_, each) => new LossyClient(backend, () => each > 0 && chance.next() < 0.3),
  );
  await until('every client listens', () => all.every(({ heard }) => heard > 0));
  const texts: string[] = [];
  for (let change = 1; change <= changes; change++) {
    texts.push(`text ${change}`);
    await backend.client.call('updateState', { session: 's', version: change, data: { texts } });
  }
  await until('the one that loses nothing shows all', () => all[0]!.texts.length === changes);
  expect(all.slice(1).some(({ heard }) => heard < all[0]!.heard)).toBe(true);
  // Their next heartbeat has the number of the last signal: who knows a smaller one pulls.
  for (const client of all) if (client.seen < all[0]!.seen) client.pull();
  for (const { stopped } of all) stopped.abort();
  await Promise.all(all.map((client) => client.settled()));
  for (const { texts: shown } of all) expect(shown).toEqual(texts);
});
