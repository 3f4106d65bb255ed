import type { Embedder } from '../../ports/search.ts';

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

/**
 * Whether a server's vectors say what texts are about. Some servers embed with any model, and vectors of a chat model find what merely looks
 * alike: a search is better without them.
 *
 * @returns null where the server serves no embeddings. @throws CwmError as {@link Embedder.embed}.
 */
export async function tryMeaning(
  embedder: Embedder,
  signal: AbortSignal,
): Promise<{ readonly model: string; readonly isUseful: boolean } | null> {
  const questions = await embedder.embed(
    pairs.map(([question]) => question),
    'question',
    signal,
  );
  if (!questions) return null;
  const answers = await embedder.embed(
    pairs.map(([, answer]) => answer),
    'page',
    signal,
  );
  if (answers?.model !== questions.model) return null;
  const right = questions.vectors.filter((question, at) => {
    const similarities = answers.vectors.map((answer) => cosine(question, answer));
    return similarities.every((each, other) => other === at || each < similarities[at]!);
  });
  return { model: questions.model, isUseful: right.length >= fewestRight };
}

function cosine(one: readonly number[], other: readonly number[]): number {
  const product = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((sum, each, at) => sum + each * (b[at] ?? 0), 0);
  return product(one, other) / Math.sqrt(product(one, one) * product(other, other) || 1);
}
