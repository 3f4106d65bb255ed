import { setTimeout as delay } from 'node:timers/promises';
import type { LiveIndex } from './liveIndex.ts';

/** How often the two are compared before a difference counts, and the pause between two comparisons. */
const comparisons = 10;
const betweenComparisonsMs = 100;

/**
 * Whether the index differs from one that is made from the files alone. A write may come between the two readings, so only a row that
 * differs in the same way every time is wrong.
 */
export async function differsFromFiles(index: LiveIndex, signal: AbortSignal): Promise<boolean> {
  let wrong = [...(await differentRows(index))];
  for (let comparison = 2; comparison <= comparisons && wrong.length > 0; comparison++) {
    await delay(betweenComparisonsMs, undefined, { signal });
    const different = await differentRows(index);
    wrong = wrong.filter((row) => different.has(row));
  }
  return wrong.length > 0;
}

async function differentRows(index: LiveIndex): Promise<ReadonlySet<string>> {
  const live = await index.query((rows) => rowsOf(rows.dump()));
  const fresh = await index.fresh();
  const files = rowsOf(fresh.dump());
  fresh.close();
  return new Set([...live, ...files].filter((row) => live.has(row) !== files.has(row)));
}

const rowsOf = (tables: readonly (readonly unknown[])[]): ReadonlySet<string> =>
  new Set(tables.flatMap((rows, table) => rows.map((row) => `${table} ${JSON.stringify(row)}`)));
