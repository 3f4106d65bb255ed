import { readFile } from 'node:fs/promises';
import { MessageIndex } from '../src/store/index/messageIndex.ts';
import { loadSqlJs } from '../src/store/index/sqlJs.ts';
import { fitting, recall as recallIn } from '../src/core/memory/search/recall.ts';
import { mostNear } from '../src/core/memory/search/meaning.ts';
import { EmbeddingServer } from '../src/engines/embeddings/embeddingServer.ts';
import { LinkFactory } from '../src/engines/http/linkFactory.ts';
import { defaultTimeouts, systemSleep, systemTimer } from '../src/engines/http/timing.ts';
import { systemClock } from '../src/base/clock.ts';
import type { MessageSearch, NearMessage } from '../src/core/ports/search.ts';
import { parseMessageId, parseSessionId } from '../src/protocol/ids.ts';
import { aMessage } from '../test/store/builders.ts';
import { sessionId } from '../test/support/ids.ts';
import { mustHold, type Benchmark, type Figure } from './benchmark.ts';
import { locomo, plainBm25, type Conversation, type Turn } from './locomo.ts';

/** Tokens of five and of ten pages of ten turns, by the measure that the floor was published with. */
const budgets = { five: 1_550, ten: 3_100 } as const;
/** As the floor counts: four characters are a token. Both sides of the comparison are counted so, and nothing else is. */
const tokensOfText = (text: string): number => text.length / 4;

/** Finds turns of a conversation for a question, within a budget of tokens. */
type Finder = (question: string, budget: keyof typeof budgets) => Promise<readonly Turn[]>;

/**
 * How much of the evidence for LoCoMo's questions a search returns, beside plain BM25 over pages of ten turns. The weights were chosen on the
 * first five conversations; the other five are the report. The data set is read from `--locomo DIRECTORY_OR_FILE` and never copied.
 */
export const recall: Benchmark = {
  ids: ['RECALL'],
  async run(signal, { locomo: place, embeddings }) {
    if (place === undefined) {
      console.error(
        'RECALL is left out: name LoCoMo with --locomo PATH (snap-research/LoCoMo, CC BY-NC 4.0: evaluation only).',
      );
      return [];
    }
    const conversations = await locomo(place, (path) => readFile(path, 'utf8'));
    mustHold(conversations.length === 10, 'LoCoMo has ten conversations');
    const links = embeddings === undefined ? null : linksTo(embeddings);
    const figures: Figure[] = [];
    for (const [half, part] of [
      ['conversations 6 to 10, held out', conversations.slice(5)],
      ['conversations 1 to 5, tuned on', conversations.slice(0, 5)],
    ] as const) {
      const floor = await evaluated(part, (conversation) => Promise.resolve(plainBm25(conversation)));
      const ours = await evaluated(part, (conversation) => finderOf(conversation, links, signal));
      figures.push(
        share(`any of the evidence, 1,550 tokens, ${half}`, ours.any, floor.any, 0.9),
        share(`all of the evidence, 1,550 tokens, ${half}`, ours.all, floor.all, 0.8),
        share(`all of a multi-hop question's, 3,100 tokens, ${half}`, ours.multiHop, floor.multiHop, 0.4),
        size(`returned for a question, at most 1,550, ${half}`, ours.tokens, floor.tokens),
      );
    }
    return figures;
  },
};

const linksTo = (url: string): LinkFactory =>
  new LinkFactory({
    connect: async () => ({ url }),
    apiKey: undefined,
    timeouts: defaultTimeouts,
    timer: systemTimer,
    sleep: systemSleep,
    random: Math.random,
    onConnectionFailure: () => undefined,
  });
const atOnce = 16;

/** The product's search over the product's index. @param links to a server with embeddings; null: only words count. */
async function finderOf(
  { name, turns }: Conversation,
  links: LinkFactory | null,
  signal: AbortSignal,
): Promise<Finder> {
  const index = MessageIndex.empty(await loadSqlJs(null));
  const session = parseSessionId(name);
  const byId = new Map(turns.map((turn) => [parseMessageId(turn.id.replace(':', '-')), turn]));
  const messages = [...byId].map(([id, { text, spokenAt }], at) => ({
    ...aMessage(id, at + 1, text),
    createdAt: new Date(spokenAt.getTime() + at * 1_000).toISOString(),
  }));
  index.put({ id: sessionId(name), project: null, stamp: '' }, [...byId.keys()], messages);
  const search: Pick<MessageSearch, 'occurrences'> = {
    occurrences: (query) => Promise.resolve(index.occurrences(query)),
  };
  const embedder = links && new EmbeddingServer({ links, clock: systemClock, isOfChats: false });
  let model = '';
  const groups = Array.from({ length: embedder ? Math.ceil(messages.length / atOnce) : 0 }, (_, group) =>
    messages.slice(group * atOnce, (group + 1) * atOnce),
  );
  for (const some of groups) {
    const texts = some.map(({ content }) => (content.type === 'text' ? content.text : ''));
    const embedded = await embedder!.embed(texts, 'page', signal);
    mustHold(embedded !== null, 'the server serves embeddings');
    ({ model } = embedded!);
    index.keepVectors(
      model,
      some.map(({ id }, each) => ({ message: id, vectors: [embedded!.vectors[each]!] })),
    );
  }
  const nearTo = async (question: string): Promise<NearMessage[]> => {
    const [vector] = (await embedder?.embed([question], 'question', signal))?.vectors ?? [];
    return vector ? index.near({ model, vector, session, limit: mostNear }) : [];
  };
  return async (question, budget) => {
    const ranked = await recallIn(search, question, { session }, await nearTo(question));
    const found = ranked.map(({ found }) => byId.get(found.message)!);
    return fitting(found, budgets[budget], costOf);
  };
}

/** Its line, and the date in front of the first turn of a day. */
const costOf = (turn: Turn, taken: readonly Turn[]): number =>
  tokensOfText(`${turn.text}\n`) + (taken.some(({ day }) => day === turn.day) ? 0 : tokensOfText(`${turn.date}\n`));

interface Shares {
  readonly any: number;
  readonly all: number;
  readonly multiHop: number;
  readonly tokens: number;
}

async function evaluated(
  conversations: readonly Conversation[],
  make: (conversation: Conversation) => Promise<Finder>,
): Promise<Shares> {
  let [questions, multiHops, any, all, allOfMultiHop, tokens] = [0, 0, 0, 0, 0, 0];
  for (const conversation of conversations) {
    const find = await make(conversation);
    for (const { text, evidence, isMultiHop } of conversation.questions) {
      const found = await find(text, 'five');
      const ids = new Set(found.map(({ id }) => id));
      questions++;
      if (evidence.some((id) => ids.has(id))) any++;
      if (evidence.every((id) => ids.has(id))) all++;
      tokens += found.reduce((sum, turn, at) => sum + costOf(turn, found.slice(0, at)), 0);
      if (!isMultiHop) continue;
      multiHops++;
      const more = new Set((await find(text, 'ten')).map(({ id }) => id));
      if (evidence.every((id) => more.has(id))) allOfMultiHop++;
    }
  }
  return {
    any: any / questions,
    all: all / questions,
    multiHop: allOfMultiHop / multiHops,
    tokens: tokens / questions,
  };
}

const share = (what: string, value: number, floor: number, wanted: number): Figure => ({
  id: 'RECALL',
  what,
  unit: '%',
  value: 100 * value,
  baseline: { what: 'plain BM25', value: 100 * floor },
  ratio: value / floor,
  wanted: `≥ ${100 * wanted} %`,
  met: value >= wanted,
  runs: 1,
});

const size = (what: string, value: number, floor: number): Figure => ({
  id: 'RECALL',
  what,
  unit: 'tokens',
  value,
  baseline: { what: 'plain BM25', value: floor },
  ratio: null,
  wanted: '≤ 1,550',
  met: value <= budgets.five,
  runs: 1,
});
