import { workspace, type ConfigurationChangeEvent } from 'vscode';
import type { SettingId, SettingTypes } from './settingTable.ts';
import { settingValue } from './settingValue.ts';

/** A setting as it is now; always a usable value. */
export const setting = <Id extends SettingId>(id: Id): SettingTypes[Id] =>
  settingValue(id, workspace.getConfiguration().get<unknown>(id));

export const affects = (event: ConfigurationChangeEvent, ids: readonly SettingId[]): boolean =>
  ids.some((id) => event.affectsConfiguration(id));
