import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import type { CoreContext } from '../context.ts';
import { withTurn } from '../turns/turns.ts';
import { strategyOf } from './selectPoint.ts';

/** @throws CwmError CWM-1001, 2001, 3101, 4004. */
export async function getState(
  { trackers }: CoreContext,
  input: RouteInput<'getState'>,
): Promise<RouteOutput<'getState'>> {
  return trackers.use(await trackers.resolve(input.session), (tracker) => tracker.getState());
}

/** @throws CwmError CWM-1001, 1005, 2001, 3002 (frozen), 3101, 3103 (changed meanwhile), 4004. */
export async function updateState(
  { trackers, changes }: CoreContext,
  { session, version, data, metadata }: RouteInput<'updateState'>,
): Promise<RouteOutput<'updateState'>> {
  const id = await trackers.resolve(session);
  const state = await trackers.use(id, (tracker) => tracker.updateState({ version, data, metadata: metadata ?? {} }));
  changes.emit({ type: 'session', session: id });
  return state;
}

/** Latest first. @throws CwmError CWM-1001, 2001, 3101. */
export async function listRecoveryPoints(
  { trackers }: CoreContext,
  input: RouteInput<'listRecoveryPoints'>,
): Promise<RouteOutput<'listRecoveryPoints'>> {
  return trackers.use(await trackers.resolve(input.session), (tracker) => tracker.recoveryPoints());
}

/** @throws CwmError CWM-1001, 2001, 3101, 4004. */
export async function createRecoveryPoint(
  { trackers }: CoreContext,
  input: RouteInput<'createRecoveryPoint'>,
): Promise<RouteOutput<'createRecoveryPoint'>> {
  return trackers.use(await trackers.resolve(input.session), (tracker) => tracker.createRecoveryPoint());
}

/** @throws CwmError CWM-1001, 1003, 2001, 2010, 2011, 3001 (a turn is under way), 3002 (frozen), 3101, 3106. */
export async function restoreRecoveryPoint(
  core: CoreContext,
  { session: given, ...choice }: RouteInput<'restoreRecoveryPoint'>,
  signal: AbortSignal,
): Promise<RouteOutput<'restoreRecoveryPoint'>> {
  const strategy = strategyOf(choice);
  const id = await core.trackers.resolve(given);
  const result = await withTurn(core, id, signal, (session) =>
    core.trackers.use(id, (tracker) => tracker.restore(strategy, session)),
  );
  core.changes.emit({ type: 'session', session: id });
  return result;
}

/** @throws CwmError CWM-1001, 1003 (folder), 1005, 2001, 3002 (frozen), 3101, 3104 (manual), 3105 (folder). */
export async function syncState(
  { trackers, peers, changes }: CoreContext,
  { session, folder, direction, policy }: RouteInput<'syncState'>,
): Promise<RouteOutput<'syncState'>> {
  const id = await trackers.resolve(session);
  const peer = peers.open(folder);
  const result = await trackers.use(id, (tracker) => tracker.sync(peer, direction ?? 'sync', policy ?? 'manual'));
  if (result.pulled) changes.emit({ type: 'session', session: id });
  return result;
}

/** @throws CwmError CWM-1001, 2001. */
export async function activateState(
  { trackers }: CoreContext,
  input: RouteInput<'activateState'>,
): Promise<RouteOutput<'activateState'>> {
  return trackers.activate(await trackers.resolve(input.session));
}
