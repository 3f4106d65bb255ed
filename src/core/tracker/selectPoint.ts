import { CwmError } from '../../protocol/errors.ts';
import { parseInstant } from '../../protocol/schemas/instant.ts';
import type { RecoveryChoice } from '../../protocol/schemas/tracker.ts';
import type { RecoveryPoint } from '../ports/states.ts';

/** Which of a session's recovery points is wanted. */
export type RecoveryStrategy =
  | { readonly by: 'latest-version' }
  | { readonly by: 'version'; readonly version: number }
  | { readonly by: 'time'; readonly at: string }
  | { readonly by: 'id'; readonly id: string }
  /** Gets all recovery points, latest first. Null: none of them. */
  | { readonly by: 'custom'; readonly select: (points: readonly RecoveryPoint[]) => RecoveryPoint | null };

/** @throws CwmError InvalidParameter for more than one choice, or an invalid time. */
export function strategyOf({ id, version, at }: RecoveryChoice): RecoveryStrategy {
  if ([id, version, at].filter((given) => given !== undefined).length > 1) {
    throw new CwmError(
      'InvalidParameter',
      'A recovery point is chosen by its id, by a version or by a time: by one of them.',
    );
  }
  if (id !== undefined) return { by: 'id', id };
  if (version !== undefined) return { by: 'version', version };
  if (at === undefined) return { by: 'latest-version' };
  return { by: 'time', at: parseInstant(at, 'at') };
}

/**
 * @param points latest first.
 * @returns null when none fits.
 * @throws CwmError RecoveryFailed when a custom strategy fails, or takes what is not among them.
 */
export function selectPoint(points: readonly RecoveryPoint[], strategy: RecoveryStrategy): RecoveryPoint | null {
  switch (strategy.by) {
    case 'latest-version': {
      const latest = Math.max(...points.map(({ state }) => state.version));
      return points.find(({ state }) => state.version === latest) ?? null;
    }
    case 'version':
      return points.find(({ state }) => state.version === strategy.version) ?? null;
    case 'time':
      // Not simply the first one, because the clock may have been set back.
      return points
        .filter(({ at }) => at <= strategy.at)
        .reduce<RecoveryPoint | null>((latest, point) => (latest && latest.at >= point.at ? latest : point), null);
    case 'id':
      return points.find(({ id }) => id === strategy.id) ?? null;
    case 'custom':
      return selectCustom(points, strategy.select);
  }
}

function selectCustom(
  points: readonly RecoveryPoint[],
  select: (points: readonly RecoveryPoint[]) => RecoveryPoint | null,
): RecoveryPoint | null {
  let selected: RecoveryPoint | null;
  try {
    selected = select(points);
  } catch (cause) {
    throw new CwmError('RecoveryFailed', 'The choice of a recovery point failed.', { cause });
  }
  if (selected === null || points.includes(selected)) return selected;
  throw new CwmError('RecoveryFailed', 'What was chosen is none of the recovery points.');
}
