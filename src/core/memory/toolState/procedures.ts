import { memoryToolNames } from '../memoryTool.ts';
import { withoutNotes } from './bindings.ts';
import type { PastCall } from './toolHistory.ts';

/** How far behind a failure its fix may be, in calls of the same tool (S1-94). */
const fixWithin = 10;
const mostLines = 3;
const longestValue = 80;
const longestOnPage = 400;
/** Successes whose arguments are looked at, and values of each argument. */
const mostSuccesses = 10;
const mostValues = 5;
/** Calls of a tool that are looked through for fixes. */
const mostLookedAt = 100;

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
export const procedureLines = (calls: readonly PastCall[], name: string): string[] =>
  linesOf(fixesOf(calls, name), donesOf(calls, name), longestValue);

/** What is known of how a tool is called: the text of its page (S1-94). */
export interface Procedure {
  readonly text: string;
  /** The calls that the text is about, oldest first. */
  readonly sources: readonly PastCall[];
}

/** Null: one call says nothing of the next one, and what the memory itself or the user answers is no procedure. */
export function procedureOf(calls: readonly PastCall[], name: string): Procedure | null {
  const failures = calls.filter((call) => call.name === name && call.outcome === 'failed');
  const dones = donesOf(calls, name);
  if (isOwn(name) || dones.length === 0 || failures.length + dones.length < 2) return null;
  const fixes = fixesOf(calls.filter((call) => call.name === name).slice(-mostLookedAt), name);
  const shown = new Set([
    ...fixes.slice(-mostLines).flatMap(({ failed, fixed }) => [failed, fixed]),
    ...[...failures, ...dones].slice(-mostLines).map(({ id }) => id),
    ...dones.slice(-mostLines).map(({ id }) => id),
  ]);
  const text = [
    `Calls of the tool ${name}: ${dones.length} worked, ${failures.length} failed.`,
    ...errorsOf(failures),
    ...valuesOf(dones.slice(-mostSuccesses)),
    ...linesOf(fixes, dones, longestOnPage),
  ].join('\n');
  return { text, sources: calls.filter(({ id }) => shown.has(id)) };
}

/** Of the memory, and the one that asks the user. */
const isOwn = (name: string): boolean => memoryToolNames.has(name) || name === 'ask_user';

const donesOf = (calls: readonly PastCall[], name: string): readonly PastCall[] =>
  calls.filter((call) => call.name === name && call.outcome === 'done');

/** What most failures said, with how many did. */
function errorsOf(failures: readonly PastCall[]): string[] {
  const counts = new Map<string, number>();
  for (const { text } of failures) {
    const [line = ''] = withoutNotes(text).split('\n');
    counts.set(line, (counts.get(line) ?? 0) + 1);
  }
  return [...counts]
    .sort(([, one], [, other]) => other - one)
    .slice(0, mostLines)
    .map(([line, count]) => `Failed${count === 1 ? '' : ` ${count} times`}: ${shortened(line, longestOnPage)}`);
}

/** The last values that worked, of each argument. */
function valuesOf(dones: readonly PastCall[]): string[] {
  const values = new Map<string, Set<string>>();
  for (const call of dones)
    for (const [key, value] of fieldsOf(call)) {
      const known = values.get(key) ?? new Set();
      // The last one comes last.
      known.delete(value);
      values.set(key, known.add(value));
    }
  return [...values].map(([key, known]) => {
    const last = [...known].slice(-mostValues).reverse();
    return `Values of ${key} that worked: ${last.map((value) => shortened(value, longestValue)).join(', ')}`;
  });
}

function linesOf(fixes: readonly Fix[], dones: readonly PastCall[], longest: number): string[] {
  const fixed = fixes
    .slice(-mostLines)
    .reverse()
    .map((fix) => {
      const parts = [
        ...fix.added.map((key) => `added ${key}`),
        ...fix.removed.map((key) => `left out ${key}`),
        ...fix.changed.map((key) => `changed ${key}`),
      ];
      return `Fixed before: ${fix.fixed} worked after ${fix.failed} failed (${parts.join(', ')}).`;
    });
  const worked = dones
    .slice(-mostLines)
    .reverse()
    .map(({ id, arguments: given }) => `Worked before: ${id} ${shortened(given, longest)}`);
  return [...fixed, ...worked];
}

const shortened = (text: string, longest: number): string =>
  text.length <= longest ? text : `${text.slice(0, longest - 1).toWellFormed()}…`;

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
