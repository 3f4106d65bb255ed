import { globSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

/** The edge cases that were written down before there was any code. P0 is loss of data. */
const edgeCases = {
  'EC-001': 'P0 two freezes of one session at once',
  'EC-002': 'P1 two thaws of one window at once',
  'EC-003': 'P1 a freeze in the middle of a turn',
  'EC-004': 'P3 one block under the name of another',
  'EC-005': 'P0 two writers of one window',
  'EC-010': 'P2 nothing to freeze',
  'EC-011': 'P1 a context that is nearly full',
  'EC-012': 'P2 the longest name',
  'EC-013': 'P2 names of other scripts',
  'EC-014': 'P2 an empty block',
  'EC-020': 'P0 no room on the disk',
  'EC-021': 'P1 too many sessions or windows',
  'EC-022': 'P1 no memory for a thaw',
  'EC-030': 'P0 a state that can not follow',
  'EC-031': 'P1 windows without their session',
  'EC-040': 'P0 a server that goes away meanwhile',
  'EC-041': 'P1 a server that takes for ever',
  'EC-042': 'P2 a clock that goes back',
  'EC-050': 'P0 other bytes than were written',
  'EC-051': 'P0 an index that is damaged',
  'EC-052': 'P0 a disk that fills up while it is written to',
} as const;

describe('N23 each edge case has a test of its own', () => {
  const names = globSync('test/**/*.test.ts', { cwd: new URL('..', import.meta.url) })
    .filter((file) => !file.endsWith('edgeCases.test.ts'))
    .flatMap((file) => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8').match(/EC-\d{3}/g) ?? []);

  test.each(Object.entries(edgeCases))('%s: %s', (id) => expect(names).toContain(id));

  test('and no test names one that there is not', () => {
    expect([...new Set(names)].filter((id) => !(id in edgeCases))).toEqual([]);
  });
});
