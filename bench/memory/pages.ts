import { systemClock } from '../../src/base/clock.ts';
import type { CoreContext } from '../../src/core/context.ts';
import { SessionMemory } from '../../src/core/memory/memories.ts';
import { pageIdOf, textOf } from '../../src/core/memory/page.ts';
import { pageFault } from '../../src/core/memory/pageFault.ts';
import { memoryPlugins } from '../../src/core/memory/plugins.ts';
import type { Remembering } from '../../src/core/memory/remembering.ts';
import { recall } from '../../src/core/memory/search/recall.ts';
import type { MessageSearch } from '../../src/core/ports/search.ts';
import { MessageIndex } from '../../src/store/index/messageIndex.ts';
import { loadSqlJs } from '../../src/store/index/sqlJs.ts';
import type { MemoryRecord } from '../../src/protocol/memory/records.ts';
import type { Message } from '../../src/protocol/schemas/session.ts';
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
    const search: Pick<MessageSearch, 'occurrences'> = {
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
    const faults = await faultTimes(messages, random);
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
      atMost('PAGES', `page_fault without the engine at 95 of 100, ${size}`, at95(faults), 100, faults.length),
    ];
  },
};

/** Times of faults in a conversation that has left the prompt but for its last messages, in milliseconds; each page once. */
async function faultTimes(messages: readonly Message[], random: () => number): Promise<number[]> {
  const memory = new SessionMemory();
  const [first, last] = [messages[0]!, messages[messages.length - 21]!];
  memory.add({
    type: 'segment',
    id: 's1',
    from: first.id,
    to: last.id,
    firstSequence: 1,
    lastSequence: last.sequence,
    summary: 'Words.',
    summaryBy: 'extract',
    text: 'Words.',
    tokens: 2,
    replacedTokens: last.sequence * wordsOfEach,
    at: last.createdAt,
  });
  const core = {
    clock: systemClock,
    memoryPlugins: memoryPlugins({}),
    memories: {
      of: async () => memory,
      record: async (_: unknown, added: MemoryRecord[]) => added.map((each) => memory.add(each)),
    },
  } as unknown as CoreContext;
  const engine = {
    tokenize: async ([message]: readonly { content: string }[]) => Array.from({ length: message!.content.length / 4 }),
  };
  const turn = {
    session: { id: sessionId('long'), tokens: null, settings: { memory: { enableVm: true } } },
    messages,
    engine,
    description: { model: { maxModelLen: 32_000 } },
    salt: '',
  } as unknown as Remembering;
  const times: number[] = [];
  for (let at = 0; at < searches + 1; at++) {
    const wanted = messages[Math.floor(random() * last.sequence)]!;
    const started = performance.now();
    const given = { page_id: pageIdOf(wanted), target_level: 0 };
    const { text } = await pageFault.run(core, turn, given, new AbortController().signal);
    times.push(performance.now() - started);
    mustHold(text.includes(JSON.stringify(textOf(wanted))), 'a page comes back as it was said');
  }
  // The first one makes the table of pages.
  return times.slice(1);
}

const at95 = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length * 0.95)] ?? Number.NaN;
