import { ConfigurationTarget, workspace } from 'vscode';
import type { BackendConnection } from '../connection/backendConnection.ts';
import type { SettingId } from './settingTable.ts';
import { engineOfSetting } from './engineSpec.ts';

const id: SettingId = 'cwm.engine';

/**
 * Makes it the model server of new sessions: in the setting where that names one, because it would hide any other choice; else in the
 * store, for all clients.
 */
export async function useEngine(connection: Pick<BackendConnection, 'call'>, engine: string): Promise<void> {
  if (engineOfSetting() === null) {
    await connection.call('useEngine', { engine });
    return;
  }
  const settings = workspace.getConfiguration();
  // Where a workspace names the server, a user setting would have no effect.
  const isOfWorkspace = settings.inspect(id)?.workspaceValue !== undefined;
  await settings.update(id, engine, isOfWorkspace ? ConfigurationTarget.Workspace : ConfigurationTarget.Global);
}
