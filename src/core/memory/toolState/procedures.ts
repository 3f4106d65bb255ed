import type { PastCall } from './toolHistory.ts';

/** How far behind a failure its fix may be, in calls of the same tool (S1-94). */
const fixWithin = 10;
const mostLines = 3;
const longestValue = 80;

/** What made a call work that had failed: arguments that were added, removed or changed. */
export interface Fix {
  readonly failed: string;
  readonly fixed: string;
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
}

/** For each failure of a tool: the first success behind it that was called in another way. */
export function fixesOf(calls: readonly PastCall[], name: string): Fix[] {
  const ofTool = calls.filter((call) => call.name === name);
  return ofTool.flatMap((failure, at) => {
    if (failure.outcome !== 'failed') return [];
    const success = ofTool.slice(at + 1, at + 1 + fixWithin).find(({ outcome }) => outcome === 'done');
    if (!success) return [];
    const before = fieldsOf(failure);
    const after = fieldsOf(success);
    const fix = {
      failed: failure.id,
      fixed: success.id,
      added: [...after.keys()].filter((key) => !before.has(key)),
      removed: [...before.keys()].filter((key) => !after.has(key)),
      changed: [...after.keys()].filter((key) => before.has(key) && before.get(key) !== after.get(key)),
    };
    return fix.added.length + fix.removed.length + fix.changed.length === 0 ? [] : [fix];
  });
}

/** At most three fixes and three successes of a tool, the latest first, each on one line; for a model whose call has just failed. */
export function procedureLines(calls: readonly PastCall[], name: string): string[] {
  const fixes = fixesOf(calls, name)
    .slice(-mostLines)
    .reverse()
    .map(({ failed, fixed, added, removed, changed }) => {
      const parts = [
        ...added.map((key) => `added ${key}`),
        ...removed.map((key) => `left out ${key}`),
        ...changed.map((key) => `changed ${key}`),
      ];
      return `Fixed before: ${fixed} worked after ${failed} failed (${parts.join(', ')}).`;
    });
  const successes = calls
    .filter((call) => call.name === name && call.outcome === 'done')
    .slice(-mostLines)
    .reverse()
    .map(({ id, arguments: given }) => `Worked before: ${id} ${shortened(given)}`);
  return [...fixes, ...successes];
}

const shortened = (text: string): string =>
  text.length <= longestValue ? text : `${text.slice(0, longestValue - 1).toWellFormed()}…`;

function fieldsOf({ arguments: text }: PastCall): Map<string, string> {
  try {
    const given: unknown = JSON.parse(text);
    if (typeof given !== 'object' || given === null) return new Map();
    return new Map(Object.entries(given).map(([key, value]) => [key, JSON.stringify(value)]));
  } catch {
    // It failed because of that.
    return new Map();
  }
}
