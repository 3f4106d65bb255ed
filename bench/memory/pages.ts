import { recall } from '../../src/core/memory/search/recall.ts';
import type { MessageSearch } from '../../src/core/ports/search.ts';
import { MessageIndex } from '../../src/store/index/messageIndex.ts';
import { loadSqlJs } from '../../src/store/index/sqlJs.ts';
import { aMessage } from '../../test/store/builders.ts';
import { sessionId } from '../../test/support/ids.ts';
import { atMost, median, mustHold, type Benchmark, type Figure } from '../benchmark.ts';

const pages = 100_000;
const wordsOfEach = 40;
const searches = 200;
const vocabulary = 20_000;

/** A search for pages in a session of 100,000, by questions of one to eight words of any frequency. */
export const pageSearch: Benchmark = {
  ids: ['PAGES'],
  async run() {
    let seed = 7;
    const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    /** Few words are frequent and most are rare, as in a language. */
    const word = (): string => `w${Math.floor(random() ** 4 * vocabulary)}`;
    const session = sessionId('long');
    const messages = Array.from({ length: pages }, (_, at) => ({
      ...aMessage(`m${at + 1}`, at + 1, Array.from({ length: wordsOfEach }, word).join(' ')),
      createdAt: new Date(1_700_000_000_000 + at * 60_000).toISOString(),
    }));
    const index = MessageIndex.empty(await loadSqlJs(null));
    index.put(
      { id: session, project: null, stamp: '' },
      messages.map(({ id }) => id),
      messages,
    );
    const search: MessageSearch = {
      messages: () => Promise.reject(new Error('not used')),
      occurrences: (query) => Promise.resolve(index.occurrences(query)),
    };
    const questions = Array.from({ length: searches }, (_, at) => Array.from({ length: 1 + (at % 8) }, word).join(' '));
    for (const question of questions.slice(0, 20)) await recall(search, question, { session });
    const before = process.memoryUsage().rss;
    const [wall, cpu]: [number[], number[]] = [[], []];
    for (const question of questions) {
      const startedCpu = process.cpuUsage();
      const started = performance.now();
      const found = await recall(search, question, { session });
      wall.push(performance.now() - started);
      const { user, system } = process.cpuUsage(startedCpu);
      cpu.push((user + system) / 1_000);
      mustHold(found.length > 0, 'each question has an answer');
    }
    const grown = Math.max(0, process.memoryUsage().rss - before);
    index.close();
    const size = `${pages.toLocaleString('en-US')} pages`;
    const growth: Figure = {
      id: 'PAGES',
      what: `memory that ${searches} searches added, ${size}`,
      unit: 'bytes',
      value: grown,
      baseline: null,
      ratio: null,
      wanted: 'at most 64 MiB',
      met: grown <= 64 << 20,
      runs: 1,
    };
    return [
      atMost('PAGES', `search at the median, ${size}`, median(wall), 100, searches),
      atMost('PAGES', `search at 95 of 100, ${size}`, at95(wall), 100, searches),
      atMost('PAGES', `processor time of it at 95 of 100, ${size}`, at95(cpu), 100, searches),
      growth,
    ];
  },
};

const at95 = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length * 0.95)] ?? Number.NaN;
