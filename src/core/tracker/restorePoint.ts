import { CwmError, isCwmError } from '../../protocol/errors.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { RestoreResult } from '../../protocol/schemas/tracker.ts';
import type { RecoveryPoint, StoredState } from '../ports/states.ts';
import { summaryOf, type RecoveryKeeper } from './recoveryKeeper.ts';
import { selectPoint, type RecoveryStrategy } from './selectPoint.ts';
import { contentOf, laterStamp, sameContent } from './state.ts';
import type { TrackerParts } from './trackerParts.ts';

/**
 * After damage, nobody knows which versions clients have seen. The next version is far above all of them, so that none is used twice.
 */
const versionsLeftOut = 1_000_000;

interface RestoreRequest {
  readonly strategy: RecoveryStrategy;
  readonly session: Session;
  /** Null: damaged. */
  readonly current: StoredState | null;
}

type Restored = Omit<RestoreResult, 'state'> & { readonly stored: StoredState };

/** Chooses a recovery point, makes one of the current state, and sets state and conversation back as one change. */
export async function restorePoint(
  { states, clock }: TrackerParts,
  keeper: RecoveryKeeper,
  { strategy, session, current }: RestoreRequest,
): Promise<Restored> {
  const { points, damaged: unreadable } = await keeper.list();
  const { point, damaged } = await choose(points, [...unreadable], strategy, (each) => states.checkRecoveryPoint(each));
  const undo = current && (await keeper.add('restore', current, point.id));
  const { branches, activeBranch, tokens } = point.conversation;
  const now = clock.now();
  const nextSession: Session = {
    ...session,
    branches,
    activeBranch,
    tokens,
    updatedAt: now.toISOString(),
    version: session.version + 1,
  };
  const stored = current === null ? afterDamage(points, point, now) : takenBack(current, point, now);
  await states.restore(nextSession, stored === current ? null : stored, current && current.version);
  return { restored: summaryOf(point), undo: undo && undo.id, damaged, stored };
}

function takenBack(current: StoredState, { state }: RecoveryPoint, now: Date): StoredState {
  if (sameContent(current, state)) return current;
  const lastUpdated = laterStamp(now, current.lastUpdated);
  return { ...current, ...contentOf(state), version: current.version + 1, lastUpdated };
}

function afterDamage(points: readonly RecoveryPoint[], { state }: RecoveryPoint, now: Date): StoredState {
  const version = Math.max(...points.map((point) => point.state.version)) + versionsLeftOut;
  return { ...contentOf(state), version, lastUpdated: laterStamp(now, state.lastUpdated), base: null };
}

async function choose(
  points: readonly RecoveryPoint[],
  damaged: string[],
  strategy: RecoveryStrategy,
  check: (point: RecoveryPoint) => Promise<void>,
): Promise<{ point: RecoveryPoint; damaged: string[] }> {
  for (let left = points; ;) {
    if (strategy.by === 'id' && damaged.includes(strategy.id)) {
      throw new CwmError('RecoveryFailed', `Recovery point "${strategy.id}" is damaged.`, { context: { damaged } });
    }
    if (left.length === 0) {
      throw new CwmError('NoValidRecoveryPoint', 'The session has no recovery point that could be restored.', {
        context: { damaged },
      });
    }
    const point = selectPoint(left, strategy);
    if (point === null) {
      throw new CwmError('RecoveryPointNotFound', 'The session has no such recovery point.', { context: { damaged } });
    }
    try {
      await check(point);
      return { point, damaged };
    } catch (error) {
      if (!isCwmError(error, 'Corrupted')) throw error;
      damaged.push(point.id);
      left = left.filter(({ id }) => id !== point.id);
    }
  }
}
