const words = (
  'parser cache token engine socket branch index thread vector schema buffer kernel window prefix segment review deploy rollback latency budget ' +
  'retry commit module handler stream ledger quota shard replica cursor lease'
).split(' ');

/** Of 400 turns: where each decision is said, and where it is asked for again. */
const decisions = [
  { said: 10, asked: 350, about: 'database', text: 'we will use PostgreSQL 17 for the orders service' },
  { said: 60, asked: 360, about: 'retry policy', text: 'we retry at most 4 times with 250 ms base delay' },
  { said: 120, asked: 370, about: 'auth', text: 'tokens expire after 37 minutes' },
  { said: 180, asked: 380, about: 'naming', text: 'the public package is called heron-sdk' },
  { said: 240, asked: 390, about: 'deploy', text: 'we deploy on Tuesdays from the branch release/blue' },
] as const;

export interface TraceTurn {
  readonly user: string;
  /** Empty where the model must find the answer itself. */
  readonly assistant: string;
  /** The decision that the user asks for again. */
  readonly asked: string | null;
}

/**
 * A conversation about nothing, the same in each run, in which five decisions are said and asked for again much later. A decision stands
 * behind 40 other words, so that no hint of a page has it.
 */
export function makeTrace(turns: number): readonly TraceTurn[] {
  const random = randomFrom(7);
  const text = (count: number): string =>
    Array.from({ length: count }, () => words[Math.floor(random() * words.length)]).join(' ');
  const at = (place: number): number => Math.round((place * turns) / 400);
  return Array.from({ length: turns }, (_, turn) => {
    const said = decisions.find((decision) => at(decision.said) === turn);
    const asked = decisions.find((decision) => at(decision.asked) === turn);
    if (said)
      return {
        user: `${text(40)}. Decision about the ${said.about}: ${said.text}. ${text(10)}`,
        assistant: `Noted. ${text(120)}`,
        asked: null,
      };
    if (asked)
      return {
        user: `What did we decide about the ${asked.about}? Please recall it.`,
        assistant: '',
        asked: asked.text,
      };
    return { user: `Turn ${turn}: ${text(45)}?`, assistant: `${text(190)}.`, asked: null };
  });
}

/** Numbers from 0 to 1, the same ones for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
