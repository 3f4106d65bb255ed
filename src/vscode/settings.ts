import { workspace, type ConfigurationChangeEvent } from 'vscode';
import { type SettingId, type SettingTypes, settings } from './contributions.ts';

/** A setting's value; its default when the user wrote something of another type. */
export function setting<Id extends SettingId>(id: Id): SettingTypes[Id] {
  const fallback: unknown = settings[id].default;
  const value = workspace.getConfiguration().get<unknown>(id);
  return (typeof value === typeof fallback ? value : fallback) as SettingTypes[Id];
}

export const affects = (event: ConfigurationChangeEvent, ids: readonly SettingId[]): boolean =>
  ids.some((id) => event.affectsConfiguration(id));
