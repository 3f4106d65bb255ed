import { expect, test } from 'vitest';
import { crashOperations } from '../store/crashOperations.ts';
import { documentedCrashes, reliability } from '../store/crashTable.ts';

// The sweep itself holds each row's figures: test/store/crashPoints.test.ts.
test('S4-06 docs/reliability.md has every operation whose crashes are tried, and their sums', () => {
  const rows = documentedCrashes().slice(0, -2);
  const [all] = documentedCrashes().slice(-2);
  expect(rows.map(({ operation }) => operation)).toEqual(Object.keys(crashOperations));
  const sum = (of: 'points' | 'crashes' | 'failures'): number => rows.reduce((total, row) => total + row[of], 0);
  expect(all).toEqual({
    operation: 'all',
    points: sum('points'),
    crashes: sum('crashes'),
    failures: sum('failures'),
  });
  const count = (number: number): string => number.toLocaleString('en-US');
  expect(reliability).toContain(
    `${count(sum('crashes'))} crashes at ${sum('points')} points of ${rows.length} operations`,
  );
  expect(reliability).toContain(`${count(sum('failures'))} failures in operations`);
});
