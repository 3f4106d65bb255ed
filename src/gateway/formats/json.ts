export type JsonObject = Readonly<Record<string, unknown>>;

export const objectOf = (value: unknown): JsonObject | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : null;

export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

export const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

export const countOf = (value: unknown): number | null =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;

/** Null for what is no JSON. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Deeper values are written as they are. */
const mostLevels = 200;

/** The same text for values that differ only in the order of their keys. */
export function sortedJson(value: unknown, levels = mostLevels): string {
  if (levels === 0) return plainJson(value);
  if (Array.isArray(value)) return `[${value.map((each) => sortedJson(each, levels - 1)).join(',')}]`;
  const object = objectOf(value);
  if (!object) return JSON.stringify(value) ?? 'null';
  const keys = Object.keys(object).filter((key) => object[key] !== undefined);
  return `{${keys
    .sort()
    .map((key) => `${JSON.stringify(key)}:${sortedJson(object[key], levels - 1)}`)
    .join(',')}}`;
}

/** Stands for what is nested by the thousand: writing it takes more stack than there is. */
export const tooDeep = '"…"';

export function plainJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? 'null';
  } catch {
    return tooDeep;
  }
}
