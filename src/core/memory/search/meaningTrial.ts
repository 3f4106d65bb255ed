import { CwmError } from '../../../protocol/errors.ts';
import { sameModel, type EmbeddedAs, type Embedder, type VectorModel } from '../../ports/search.ts';

/** Questions, and what answers each in other words. Every answer is a wrong one for all other questions. */
const pairs = [
  ['Where does she live now?', 'I moved to an apartment in Lisbon last spring.'],
  ['Which database did we pick?', 'The orders go into PostgreSQL, as agreed with everybody.'],
  ['What is his job?', 'He works as a nurse at a hospital for children.'],
  ['How long are the login tokens valid?', 'A session expires thirty-seven minutes after you sign in.'],
  ['When is the release?', 'We ship the new version every second Tuesday.'],
  ['What pets do they have?', 'Two cats and an old dog run through our kitchen.'],
  ['Why did the build fail?', 'The compiler ran out of memory while linking.'],
  ['What does he play?', 'I have been taking violin lessons since I was nine.'],
  ['How did the exam go?', 'I passed the driving test on my third attempt!'],
  ['Which food does she avoid?', 'Peanuts make my throat swell, so I never eat them.'],
] as const;
/** Of the questions that must have their own answer nearest. Models that were made for this find 9 or 10; chat models, as a rule, below 6. */
const fewestRight = 7;
/** Standard deviations above the mean similarity of texts that have nothing to do with one another, from where on a message counts as near. */
const deviations = 2.5;

/** What a text of the trial becomes; another model makes something else of it. */
export const knownText: Readonly<Record<EmbeddedAs, string>> = { question: pairs[0][0], page: pairs[0][1] };

/** What a trial found out of a model. */
export interface TriedModel {
  readonly model: VectorModel;
  /** What it made of {@link knownText}. */
  readonly known: Readonly<Record<EmbeddedAs, readonly number[]>>;
  /** Questions that had their own answer nearest, of {@link questions}. */
  readonly right: number;
  readonly isUseful: boolean;
  /** Less similar texts are as near to one another as any two texts are. */
  readonly leastSimilarity: number;
}

/** How many a trial asks. */
export const questions = pairs.length;

/**
 * Whether a server's vectors say what texts are about. Some servers embed with any model, and vectors of a chat model find what merely looks
 * alike: a search is better without them. What similarity means something differs between models, too.
 *
 * @returns null where the server serves no embeddings. @throws CwmError as {@link Embedder.embed}; EngineFailed where it refuses a text of the trial.
 */
export async function tryMeaning(embedder: Embedder, signal: AbortSignal): Promise<TriedModel | null> {
  const asked = await embedder.embed(
    pairs.map(([question]) => question),
    'question',
    signal,
  );
  if (!asked) return null;
  const answered = await embedder.embed(
    pairs.map(([, answer]) => answer),
    'page',
    signal,
  );
  if (answered?.model !== asked.model) return null;
  const [ofQuestions, ofAnswers] = [asked, answered].map(({ vectors }) => vectors.filter((vector) => vector !== null));
  if (ofQuestions?.length !== pairs.length || ofAnswers?.length !== pairs.length)
    throw new CwmError('EngineFailed', `${embedder.server} refuses short texts.`);
  const similarities = ofQuestions.map((question) => ofAnswers.map((answer) => cosine(question, answer)));
  const right = similarities.filter((row, at) => row.every((each, other) => other === at || each < row[at]!)).length;
  const strange = similarities.flatMap((row, at) => row.filter((_, other) => other !== at));
  const mean = average(strange);
  const deviation = Math.sqrt(average(strange.map((each) => (each - mean) ** 2)));
  return {
    model: { name: asked.model, fingerprint: ofAnswers[0]! },
    known: { question: ofQuestions[0]!, page: ofAnswers[0]! },
    right,
    isUseful: right >= fewestRight,
    leastSimilarity: mean + deviations * deviation,
  };
}

/** Whether the model that was tried made this of {@link knownText}. */
export const isOf = (tried: TriedModel, as: EmbeddedAs, known: readonly number[]): boolean =>
  known.length === tried.known[as].length && cosine(tried.known[as], known) >= sameModel;

const average = (values: readonly number[]): number =>
  values.reduce((sum, each) => sum + each, 0) / Math.max(1, values.length);

function cosine(one: readonly number[], other: readonly number[]): number {
  const product = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((sum, each, at) => sum + each * (b[at] ?? 0), 0);
  return product(one, other) / Math.sqrt(product(one, one) * product(other, other) || 1);
}
