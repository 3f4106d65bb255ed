import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import { openStore } from '../src/store/openStore.ts';
import { aMessage, aSession } from '../test/store/builders.ts';
import { sessionId } from '../test/support/ids.ts';
import { atMost, median, mustHold, timed, type Benchmark, type Figure } from './benchmark.ts';
import { withBackendOn } from './passingBackend.ts';

const runs = 15;
const sessions = 100;
const messagesOfEach = 100;
const wordsOfEach = 40;
const vocabulary = 5000;

/** A search over 10,000 messages of 40 words, through the backend. */
export const search: Benchmark = {
  ids: ['SEARCH'],
  async run(signal) {
    const storage = await mkdtemp(path.join(tmpdir(), 'cwm-bench-'));
    try {
      await fill(storage);
      return await withBackendOn(storage, async (client) => {
        const ask = (text: string) => client.call('searchMessages', { text, limit: 20 }, { signal });
        const first = await timed(() => ask('w4000'));
        mustHold(first.result.total > 0, 'the word was said');
        const figures = [within('first search, without an index', first.ms, 10_000, 1)];
        for (const [what, text] of [
          ['a rare word', 'w4000'],
          ['a word of every second message', 'w3'],
          ['two words', 'w12 w40'],
          ['the beginning of a word', 'w4'],
          ['words in quotes', '"w0 w1"'],
        ] as const) {
          const times: number[] = [];
          for (let run = 0; run < runs; run++) times.push((await timed(() => ask(text))).ms);
          figures.push(within(`search for ${what}`, median(times), 50, runs));
        }
        return figures;
      });
    } finally {
      await rm(storage, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    }
  },
};

async function fill(storage: string): Promise<void> {
  const store = await openStore({ directory: storage, clock: systemClock });
  let seed = 1;
  /** Few words are frequent and most are rare, as in a language. */
  const word = (): string => {
    seed = (seed * 48_271) % 2_147_483_647;
    return `w${Math.floor((seed / 2_147_483_647) ** 4 * vocabulary)}`;
  };
  for (let session = 0; session < sessions; session++) {
    const id = `s${session}`;
    await store.sessions.create(aSession({ id }));
    const messages = Array.from({ length: messagesOfEach }, (_, at) =>
      aMessage(`${id}-${at}`, at + 1, Array.from({ length: wordsOfEach }, word).join(' ')),
    );
    await store.messages.append(sessionId(id), messages);
  }
  await store.close();
}

const within = (what: string, ms: number, limitMs: number, count: number): Figure =>
  atMost('SEARCH', `${what}, ${(sessions * messagesOfEach).toLocaleString('en-US')} messages`, ms, limitMs, count);
