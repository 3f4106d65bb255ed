/** One flipped bit: which checks saw it, and what became of the answer. */
export interface Flip {
  /** By name of the check. */
  readonly seenBy: Readonly<Record<string, boolean>>;
  /** One of the next 32 tokens is another. */
  readonly isWrong: boolean;
  /** A log-probability of theirs moved by more than the engine's own noise; so it is where a token is another. */
  readonly hasMoved: boolean;
}

export interface MissRate {
  readonly check: string;
  readonly flips: number;
  /** Unseen flips that moved the answer. */
  readonly misses: number;
  /** Of these, those that changed one of its tokens. */
  readonly wrongUnseen: number;
  /** Flips that moved the answer, seen or not. */
  readonly moving: number;
  readonly rate: number;
  /** The true rate is below this with 95 % confidence. */
  readonly upperBound: number;
}

/** @returns one row a check, in the order of the first flip's. */
export function missRates(flips: readonly Flip[]): MissRate[] {
  return Object.keys(flips[0]?.seenBy ?? {}).map((check) => {
    const unseen = flips.filter((flip) => flip.hasMoved && flip.seenBy[check] !== true);
    return {
      check,
      flips: flips.length,
      misses: unseen.length,
      wrongUnseen: unseen.filter(({ isWrong }) => isWrong).length,
      moving: flips.filter(({ hasMoved }) => hasMoved).length,
      rate: unseen.length / flips.length,
      upperBound: upperBound(unseen.length, flips.length),
    };
  });
}

/** The one-sided 95 % bound of Clopper and Pearson on a rate that gave `hits` in `trials`. */
export function upperBound(hits: number, trials: number): number {
  if (hits >= trials) return 1;
  let [low, high] = [hits / trials, 1];
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (atMost(hits, trials, middle) > 0.05) low = middle;
    else high = middle;
  }
  return high;
}

/** The probability of at most `hits` in `trials`, each with probability `rate`. */
function atMost(hits: number, trials: number, rate: number): number {
  let logTerm = trials * Math.log1p(-rate);
  let sum = Math.exp(logTerm);
  for (let count = 1; count <= hits; count++) {
    logTerm += Math.log((trials - count + 1) / count) + Math.log(rate) - Math.log1p(-rate);
    sum += Math.exp(logTerm);
  }
  return sum;
}
