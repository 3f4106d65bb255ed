import type { JsonObject } from '../../../protocol/schemas/tracker.ts';
import type { PastCall } from './toolHistory.ts';

/** `${v0}`, or `${name}` of a tool: the last result of that tool. */
const reference = /\$\{([A-Za-z][\w-]{0,63})\}/g;

/** What stands in front of a result and is none of it. */
const notes =
  /^(?:\[The result of [^\n]*\]\n)?(?:\[\$v\d+\]\n)?(?:\[\$\{[\w-]+\} stood for [^\n]*\]\n)*(?:\[Guard [^\n]*\]\n)?/;

export const withoutNotes = (text: string): string => text.replace(notes, '');

export interface Resolved {
  readonly given: JsonObject;
  /** Names that stand for nothing. */
  readonly missing: readonly string[];
  /** What each of the other names stood for. */
  readonly used: ReadonlyMap<string, string>;
}

/**
 * Puts results of this turn in place of the references to them (S1-91): `${v0}` is the first one, and a tool's name stands for its last result.
 * What is no reference stays as it is.
 *
 * @param onlyWhole only a value that is a reference and nothing else is one: a script or a template may have such names of its own.
 */
export function resolveBindings(given: JsonObject, calls: readonly PastCall[], onlyWhole: boolean): Resolved {
  const results = calls.filter(({ isOfThisTurn, outcome }) => isOfThisTurn && outcome === 'done');
  const missing = new Set<string>();
  const used = new Map<string, string>();
  const valueOf = (name: string): string | undefined => {
    const number = /^v(\d{1,4})$/.exec(name)?.[1];
    const result = number === undefined ? results.findLast((call) => call.name === name) : results[Number(number)];
    if (!result && number !== undefined) missing.add(name);
    const value = result && withoutNotes(result.text);
    if (value !== undefined) used.set(name, value);
    return value;
  };
  const resolve = (value: unknown): unknown => {
    if (typeof value === 'string') {
      if (onlyWhole && value.replace(reference, '') !== '') return value;
      return value.replaceAll(reference, (whole, name: string) => valueOf(name) ?? whole);
    }
    if (Array.isArray(value)) return value.map(resolve);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, resolve(each)]));
  };
  return { given: resolve(given) as JsonObject, missing: [...missing], used };
}
