import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import type { CoreContext } from '../context.ts';
import { withTurn } from '../turns/turns.ts';
import { strategyOf } from './selectPoint.ts';

/** @throws CwmError InvalidSessionId, SessionNotFound, NotInitialized, Corrupted. */
export async function getState(
  { trackers }: CoreContext,
  input: RouteInput<'getState'>,
): Promise<RouteOutput<'getState'>> {
  return trackers.use(await trackers.resolve(input.session), (tracker) => tracker.getState());
}

/**
 * @throws CwmError InvalidSessionId, InvalidState, SessionNotFound, AlreadyFrozen (frozen), NotInitialized, VersionConflict (changed
 *   since), Corrupted.
 */
export async function updateState(
  { trackers }: CoreContext,
  { session, version, sessionCreatedAt, data, metadata }: RouteInput<'updateState'>,
): Promise<RouteOutput<'updateState'>> {
  const id = await trackers.resolve(session);
  return trackers.use(id, (tracker) =>
    tracker.updateState({ version, data, metadata: metadata ?? {} }, sessionCreatedAt),
  );
}

/** Latest first. @throws CwmError InvalidSessionId, SessionNotFound, NotInitialized. */
export async function listRecoveryPoints(
  { trackers }: CoreContext,
  input: RouteInput<'listRecoveryPoints'>,
): Promise<RouteOutput<'listRecoveryPoints'>> {
  return trackers.use(await trackers.resolve(input.session), (tracker) => tracker.recoveryPoints());
}

/** @throws CwmError InvalidSessionId, SessionNotFound, NotInitialized, Corrupted. */
export async function createRecoveryPoint(
  { trackers }: CoreContext,
  input: RouteInput<'createRecoveryPoint'>,
): Promise<RouteOutput<'createRecoveryPoint'>> {
  return trackers.use(await trackers.resolve(input.session), (tracker) => tracker.createRecoveryPoint());
}

/** @throws CwmError InvalidSessionId, InvalidParameter, SessionNotFound, RecoveryPointNotFound, NoValidRecoveryPoint, InvalidTransition (a turn is under way), AlreadyFrozen (frozen), NotInitialized, RecoveryFailed. */
export async function restoreRecoveryPoint(
  core: CoreContext,
  { session: given, ...choice }: RouteInput<'restoreRecoveryPoint'>,
  signal: AbortSignal,
): Promise<RouteOutput<'restoreRecoveryPoint'>> {
  const strategy = strategyOf(choice);
  const id = await core.trackers.resolve(given);
  return withTurn(core, id, signal, (session) =>
    core.trackers.use(id, (tracker) => tracker.restore(strategy, session)),
  );
}

/** @throws CwmError InvalidSessionId, InvalidParameter (folder), InvalidState, SessionNotFound, AlreadyFrozen (frozen), NotInitialized, SyncConflict (manual), SyncFailed (folder). */
export async function syncState(
  { trackers, peers }: CoreContext,
  { session, folder, direction, policy }: RouteInput<'syncState'>,
): Promise<RouteOutput<'syncState'>> {
  const id = await trackers.resolve(session);
  const peer = peers.open(folder);
  return trackers.use(id, (tracker) => tracker.sync(peer, direction ?? 'sync', policy ?? 'manual'));
}

export const selectedSessions = ({ trackers }: CoreContext): Promise<RouteOutput<'selectedSessions'>> =>
  trackers.selected();

/** @throws CwmError InvalidSessionId, SessionNotFound. */
export async function selectSession(
  { trackers }: CoreContext,
  input: RouteInput<'selectSession'>,
): Promise<RouteOutput<'selectSession'>> {
  return trackers.select(await trackers.resolve(input.session));
}

export const deselectSession = ({ trackers }: CoreContext): Promise<RouteOutput<'deselectSession'>> =>
  trackers.deselect();
