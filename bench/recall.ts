import { readFile } from 'node:fs/promises';
import { systemClock } from '../src/base/clock.ts';
import { mostNear } from '../src/core/memory/search/meaning.ts';
import { fitting, recall as recallIn } from '../src/core/memory/search/recall.ts';
import { TriedEmbedder, type TextVectors } from '../src/core/memory/search/triedEmbedder.ts';
import type { EmbeddedAs, MessageSearch, NearMessage } from '../src/core/ports/search.ts';
import { parseMessageId, parseSessionId, type MessageId } from '../src/protocol/ids.ts';
import { MessageIndex } from '../src/store/index/messageIndex.ts';
import { loadSqlJs } from '../src/store/index/sqlJs.ts';
import { embeddingServerAt } from '../test/engines/live/embeddingServerAt.ts';
import { aMessage } from '../test/store/builders.ts';
import { sessionId } from '../test/support/ids.ts';
import { mustHold, type Benchmark, type Figure } from './benchmark.ts';
import { locomo, plainBm25, type Conversation, type Turn } from './locomo.ts';

/** Tokens of five and of ten pages of ten turns, by the measure that the floor was published with. */
const budgets = { five: 1_550, ten: 3_100 } as const;
/** As the floor counts: four characters are a token. Both sides of the comparison are counted so, and nothing else is. */
const tokensOfText = (text: string): number => text.length / 4;

/** Finds turns of a conversation for a question, within a budget of tokens. */
type Finder = (question: string, budget: keyof typeof budgets) => readonly Turn[];

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
    const embedder = embeddings === undefined ? null : embedderAt(embeddings);
    const figures: Figure[] = [];
    for (const [half, part] of [
      ['conversations 6 to 10, held out', conversations.slice(5)],
      ['conversations 1 to 5, tuned on', conversations.slice(0, 5)],
    ] as const) {
      const floor = evaluated(part.map((conversation) => [conversation, plainBm25(conversation)]));
      const searched: Searched[] = [];
      for (const conversation of part) searched.push(await searchedIn(conversation, embedder, signal));
      for (const [by, finder] of Object.entries(embedder ? finders : { words: finders.words })) {
        const isReported = by === (embedder ? 'words and meaning' : 'words');
        const ours = evaluated(searched.map((each) => [each.conversation, finder(each)]));
        figures.push(
          share(`any of the evidence, 1,550 tokens, by ${by}, ${half}`, ours.any, floor.any, isReported ? 0.9 : null),
          share(`all of the evidence, 1,550 tokens, by ${by}, ${half}`, ours.all, floor.all, isReported ? 0.8 : null),
          share(
            `all of a multi-hop question's, 3,100 tokens, by ${by}, ${half}`,
            ours.multiHop,
            floor.multiHop,
            isReported ? 0.4 : null,
          ),
        );
        if (isReported)
          figures.push(size(`returned for a question, at most 1,550, ${half}`, ours.tokens, floor.tokens));
      }
      if (embedder) figures.push(await neverSaid(searched, embedder, half, signal));
    }
    return figures;
  },
};

/** The product's own: the same trial, forms and parts of long texts. */
const embedderAt = (url: string): TriedEmbedder => new TriedEmbedder(embeddingServerAt(url).server, systemClock);

/** A conversation in the product's index, with what each of its questions finds there, best first. */
interface Searched {
  readonly conversation: Conversation;
  readonly index: MessageIndex;
  readonly turns: ReadonlyMap<string, Turn>;
  readonly byWords: ReadonlyMap<string, readonly Turn[]>;
  /** By words and meaning; without a server, by words. */
  readonly byBoth: ReadonlyMap<string, readonly Turn[]>;
  readonly byMeaning: ReadonlyMap<string, readonly Turn[]>;
}

const finders = {
  words: ({ byWords }: Searched) => finderIn(byWords),
  meaning: ({ byMeaning }: Searched) => finderIn(byMeaning),
  'words and meaning': ({ byBoth }: Searched) => finderIn(byBoth),
};

const finderIn =
  (found: ReadonlyMap<string, readonly Turn[]>): Finder =>
  (question, budget) =>
    fitting(found.get(question) ?? [], budgets[budget], costOf);

async function searchedIn(
  conversation: Conversation,
  embedder: TriedEmbedder | null,
  signal: AbortSignal,
): Promise<Searched> {
  const { name, turns: said, questions } = conversation;
  const index = MessageIndex.empty(await loadSqlJs(null));
  const session = parseSessionId(name);
  const turns = new Map(said.map((turn) => [parseMessageId(turn.id.replace(':', '-')), turn]));
  const messages = [...turns].map(([id, { text, spokenAt }], at) => ({
    ...aMessage(id, at + 1, text),
    createdAt: new Date(spokenAt.getTime() + at * 1_000).toISOString(),
  }));
  index.put({ id: sessionId(name), project: null, stamp: '' }, [...turns.keys()], messages);
  const search: Pick<MessageSearch, 'occurrences'> = {
    occurrences: (query) => Promise.resolve(index.occurrences(query)),
  };
  for (let at = 0; at < (embedder ? messages.length : 0); at += atOnce) {
    const some = said.slice(at, at + atOnce).map(({ text }) => text);
    const { tried, vectors } = await vectorsOf(embedder!, some, 'page', signal);
    index.keepVectors(
      tried.model,
      vectors.map((each, of) => ({ message: messages[at + of]!.id, vectors: each })),
    );
  }
  const [byWords, byBoth, byMeaning] = [
    new Map<string, Turn[]>(),
    new Map<string, Turn[]>(),
    new Map<string, Turn[]>(),
  ];
  for (const { text } of questions) {
    const near = embedder ? await nearTo(embedder, index, text, signal) : [];
    const turnsOf = (found: readonly { readonly found: { readonly message: string } }[]): Turn[] =>
      found.map(({ found: { message } }) => turns.get(message as MessageId)!);
    byWords.set(text, turnsOf(await recallIn(search, text, { session })));
    byBoth.set(text, turnsOf(await recallIn(search, text, { session }, near)));
    byMeaning.set(text, turnsOf(near.map((found) => ({ found }))));
  }
  return { conversation, index, turns, byWords, byBoth, byMeaning };
}

const atOnce = 7;

async function vectorsOf(
  embedder: TriedEmbedder,
  texts: readonly string[],
  as: EmbeddedAs,
  signal: AbortSignal,
): Promise<TextVectors> {
  const found = await embedder.vectorsOf(texts, as, signal);
  mustHold(found !== null, embedder.problem ?? 'the server has a model that says what texts are about');
  return found!;
}

async function nearTo(
  embedder: TriedEmbedder,
  index: MessageIndex,
  question: string,
  signal: AbortSignal,
): Promise<readonly NearMessage[]> {
  const { tried, vectors } = await vectorsOf(embedder, [question], 'question', signal);
  const [vector] = vectors[0]!;
  const { model, leastSimilarity } = tried;
  return vector ? index.near({ model, vector, leastSimilarity, limit: mostNear }) : [];
}

/** Questions about what none of these people ever talked of. */
const strangeQuestions = [
  'Which port does the proxy listen on?',
  'How do I rotate the TLS certificates of the cluster?',
  'What is the melting point of tungsten?',
  'Why does the compiler reject this template argument?',
  'Which index makes the query on the orders table fast?',
  'What did the court decide about the maritime boundary?',
  'How many electrons does an argon atom have?',
  'Where is the retry policy of the message queue set?',
  'What is the tax rate on imported steel?',
  'Which enzyme cuts the DNA at this sequence?',
];

/** Messages that such a question finds by meaning, on average. */
async function neverSaid(
  searched: readonly Searched[],
  embedder: TriedEmbedder,
  half: string,
  signal: AbortSignal,
): Promise<Figure> {
  let found = 0;
  let own = 0;
  let asked = 0;
  for (const { index, byMeaning } of searched) {
    for (const question of strangeQuestions) found += (await nearTo(embedder, index, question, signal)).length;
    for (const near of byMeaning.values()) own += near.length;
    asked += byMeaning.size;
  }
  const value = found / (searched.length * strangeQuestions.length);
  return {
    id: 'RECALL',
    what: `messages near a question about what was never said, of ${mostNear} at most, ${half}`,
    unit: 'messages',
    value,
    baseline: { what: 'near a question about what was said', value: own / asked },
    ratio: null,
    wanted: '≤ 1',
    met: value <= 1,
    runs: 1,
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

function evaluated(all: readonly (readonly [Conversation, Finder])[]): Shares {
  let [questions, multiHops, any, every, allOfMultiHop, tokens] = [0, 0, 0, 0, 0, 0];
  for (const [conversation, find] of all) {
    for (const { text, evidence, isMultiHop } of conversation.questions) {
      const found = find(text, 'five');
      const ids = new Set(found.map(({ id }) => id));
      questions++;
      if (evidence.some((id) => ids.has(id))) any++;
      if (evidence.every((id) => ids.has(id))) every++;
      tokens += found.reduce((sum, turn, at) => sum + costOf(turn, found.slice(0, at)), 0);
      if (!isMultiHop) continue;
      multiHops++;
      const more = new Set(find(text, 'ten').map(({ id }) => id));
      if (evidence.every((id) => more.has(id))) allOfMultiHop++;
    }
  }
  return {
    any: any / questions,
    all: every / questions,
    multiHop: allOfMultiHop / multiHops,
    tokens: tokens / questions,
  };
}

/** @param wanted null: it stands beside what is reported. */
const share = (what: string, value: number, floor: number, wanted: number | null): Figure => ({
  id: 'RECALL',
  what,
  unit: '%',
  value: 100 * value,
  baseline: { what: 'plain BM25', value: 100 * floor },
  ratio: value / floor,
  wanted: wanted === null ? '' : `≥ ${100 * wanted} %`,
  met: wanted === null || value >= wanted,
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
