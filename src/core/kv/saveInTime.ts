import type { Clock } from '../../base/clock.ts';
import type { SessionId } from '../../protocol/ids.ts';

/** A session that would have something to compute again if it were not saved. */
export interface Unsaved {
  readonly id: SessionId;
  readonly engine: string;
  /** Tokens that no checkpoint has. */
  readonly newTokens: number;
  /** What saving it should take, in milliseconds; null: not known. */
  readonly costMs: number | null;
}

/** Part of the time left that a save of unknown cost gets while others wait. */
const mostOfTimeLeft = 0.75;

/**
 * Saves as many sessions as fit into a time: on all engines at once, and on each the session first that would have most to compute again.
 *
 * @param unsaved of two that have equally much to compute, the one to save first comes first.
 * @param limitMs by `clock`, from now on.
 * @param save saves one, and stops after `allowedMs`. @returns whether it was stopped.
 * @returns those for which the time was too short.
 */
export async function saveInTime(
  unsaved: readonly Unsaved[],
  { clock, limitMs }: { readonly clock: Clock; readonly limitMs: number },
  save: (id: SessionId, allowedMs: number) => Promise<boolean>,
): Promise<SessionId[]> {
  const untilMs = clock.elapsedMs() + limitMs;
  const late: SessionId[] = [];
  const saveOn = async (waiting: Unsaved[]): Promise<void> => {
    while (waiting.length > 0) {
      const leftMs = untilMs - clock.elapsedMs();
      const next = leftMs > 0 ? takeNext(waiting, leftMs) : null;
      if (!next) return void late.push(...waiting.map(({ id }) => id));
      // Nobody knows whether it fits: the others must not lose all their time to it.
      const isUnknown = next.costMs === null && waiting.length > 0;
      if (await save(next.id, isUnknown ? leftMs * mostOfTimeLeft : leftMs)) late.push(next.id);
    }
  };
  const sorted = unsaved.toSorted((one, other) => other.newTokens - one.newTokens);
  const byEngine = Map.groupBy(sorted, ({ engine }) => engine);
  await Promise.all([...byEngine.values()].map((waiting) => saveOn(waiting)));
  return late;
}

/** The first that fits; where none should, the one that takes least: what is believed may be old. */
function takeNext(waiting: Unsaved[], leftMs: number): Unsaved | null {
  const cost = ({ costMs }: Unsaved): number => costMs ?? 0;
  const fits = waiting.find((each) => cost(each) <= leftMs);
  const next =
    fits ?? waiting.reduce<Unsaved | null>((least, each) => (least && cost(least) <= cost(each) ? least : each), null);
  if (next) waiting.splice(waiting.indexOf(next), 1);
  return next;
}

/** What the work comes to, or, after that many milliseconds, what `late` does. */
export async function within<T, Late>(
  ms: number,
  work: Promise<T>,
  late: () => Late | Promise<Late>,
): Promise<T | Late> {
  const { promise: time, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  return Promise.race([work, time.then(late)]).finally(() => clearTimeout(timer));
}
