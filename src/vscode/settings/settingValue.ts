import { type SettingId, type SettingTypes, settings } from './settingTable.ts';

/**
 * Makes a usable value of a setting, because VS Code only underlines a value that is out of range or of the wrong type. A number moves
 * into its range; any other unusable value becomes the default.
 */
export function settingValue<Id extends SettingId>(id: Id, written: unknown): SettingTypes[Id] {
  return meaning(settings[id], written) as SettingTypes[Id];
}

interface Definition {
  readonly default: string | number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly values?: readonly string[];
}

function meaning(definition: Definition, written: unknown): string | number {
  const { default: fallback, minimum = -Infinity, maximum = Infinity, values } = definition;
  if (typeof fallback === 'number') {
    if (typeof written !== 'number' || !Number.isFinite(written)) return fallback;
    return Math.min(maximum, Math.max(minimum, Math.round(written)));
  }
  if (typeof written !== 'string') return fallback;
  const text = written.trim();
  return text === '' || (values !== undefined && !values.includes(text)) ? fallback : text;
}
