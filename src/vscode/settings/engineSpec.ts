import { withAbsoluteModel } from '../../protocol/engineSpec.ts';
import type { BackendConnection } from '../connection/backendConnection.ts';
import { setting } from './settings.ts';
import { userPath } from './userPath.ts';

/** The model server that the setting names, a model's path made absolute; null where it names none, so that the store's choice counts. */
export function engineOfSetting(): string | null {
  const named = setting('cwm.engine');
  return named === '' ? null : withAbsoluteModel(named, userPath);
}

/** The model server of new sessions: the setting's, else the one that the store has for all clients (`cwm use`). */
export const engineOfNewSessions = async (connection: Pick<BackendConnection, 'call'>): Promise<string> =>
  engineOfSetting() ?? (await connection.call('health', {})).defaultEngine;
