import { globSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

/**
 * The edge cases that were written down before there was any code, each with the tests that prove it. P0 is loss of data. A title is
 * written as in its source, and found in any file, so that a test may move but not vanish.
 */
const edgeCases: Readonly<Record<`EC-${number}`, { readonly about: string; readonly tests: readonly string[] }>> = {
  'EC-001': {
    about: 'P0 two freezes of one session at once',
    tests: [
      'EC-001 of two freezes at once exactly one wins',
      'EC-001 of two windows created at once under one name exactly one wins, whole',
    ],
  },
  'EC-002': {
    about: 'P1 two thaws of one window at once',
    tests: ['S0-08 EC-002 two thaws of one window into copies give two sessions'],
  },
  'EC-003': {
    about: 'P1 a freeze in the middle of a turn',
    tests: [
      'EC-003 in the middle of a turn it is refused with CWM-3001',
      'EC-003 a session freezes, and a message is sent, just when no turn is under way',
    ],
  },
  'EC-004': {
    about: 'P3 one block under the name of another',
    tests: [
      'EC-004 is nothing under another name, nor as another kind of piece',
      'EC-004 a good block under another block’s name has another checksum',
    ],
  },
  'EC-005': {
    about: 'P0 two writers of one window',
    tests: [
      'EC-005 of two thaws at once that compute lost KV again, either leaves one whole record of it',
      'EC-005 a thaw, a thaw of a clone and a freeze at once do not take what another computes again for damage',
    ],
  },
  'EC-010': { about: 'P2 nothing to freeze', tests: ['EC-010 an empty session has nothing to freeze'] },
  'EC-011': {
    about: 'P1 a context that is nearly full',
    tests: ['EC-011 from 95 % of the context on, the answer comes with a note'],
  },
  'EC-012': { about: 'P2 the longest name', tests: ['EC-012 a window name has 128 characters at most'] },
  'EC-013': { about: 'P2 names of other scripts', tests: ['S0-24 EC-013 %j is no session id'] },
  'EC-014': {
    about: 'P2 an empty block',
    tests: ['EC-014 a block whose file is empty is not recorded, and the freeze says that it is missing'],
  },
  'EC-020': {
    about: 'P0 no room on the disk',
    tests: [
      'EC-020 what fits exactly is written, one byte less is refused before anything is',
      'EC-020 room is looked for before the first byte is written',
      'EC-020 what stands in the way of a write is named',
    ],
  },
  'EC-021': {
    about: 'P1 too many sessions or windows',
    tests: [
      'EC-021 sessions: a note beyond the soft limit, a refusal beyond the hard one that names the oldest',
      'EC-021 windows: of a checkpoint, a freeze and a clone alike',
    ],
  },
  'EC-022': {
    about: 'P1 no memory for a thaw',
    tests: [
      'EC-022 that aborts while it loads, as one without memory does, costs the blocks it was given, one process, and no answer',
    ],
  },
  'EC-030': {
    about: 'P0 a state that cannot follow',
    tests: ['S0-30 EC-030 of the 25 pairs, just these are allowed; the others are refused with CWM-3001'],
  },
  'EC-031': {
    about: 'P1 windows without their session',
    tests: [
      'EC-031 a session with windows is refused unless they go with it',
      'EC-031 finds a window without its session, its lineage or its messages',
    ],
  },
  'EC-040': {
    about: 'P0 a server that goes away in the middle',
    tests: [
      'EC-040 when the session cannot be written, its window is undone too',
      'EC-040 finishes a freeze whose window is there and whose session has not continued',
      'EC-040 a turn whose answer cannot be stored leaves its session idle, with the text as its draft',
    ],
  },
  'EC-041': {
    about: 'P1 a server that takes for ever',
    tests: ['EC-041 prefill may take 15 minutes, then it is CWM-6001 and not tried again'],
  },
  'EC-042': {
    about: 'P2 a clock that goes back',
    tests: ['EC-042 a wall clock that is set back an hour during a thaw changes no duration, and stamps are UTC'],
  },
  'EC-050': {
    about: 'P0 other bytes than were written',
    tests: ['EC-050 records', 'EC-050 lines', 'EC-050 damaged files'],
  },
  'EC-051': {
    about: 'P0 an index that is damaged',
    tests: ['EC-051 the index image', 'S0-22 EC-051 the index on disk'],
  },
  'EC-052': {
    about: 'P0 a disk that fills up while it is written to',
    tests: ['EC-052 %s when the disk fails', 'EC-052 when %s', 'EC-052 the audit log when the disk fails'],
  },
};

interface Titled {
  /** `it`, `test` or `describe`, with what hangs on it: `describe.each(…)` is `describe.each`. */
  readonly call: string;
  readonly title: string;
  /** Whether it, or all of its file that could be around it, is switched off for good. */
  readonly isSkipped: boolean;
}

/** Every test and group of tests in a source. */
function titledIn(source: string): Titled[] {
  const code = source.replaceAll(/^\s*\/\/.*$/gm, '');
  const isGroupSkipped = /\bdescribe(?:\.\w+)*\.(?:skip|todo)\b/.test(code);
  return [...code.matchAll(/(['"`])((?:(?!\1|\n).)*\bEC-\d{3}\b(?:(?!\1|\n).)*)\1/g)].map(
    ({ index, 2: title = '' }) => {
      const before = code.slice(0, index);
      // The nearest call of a test function before the title, across the table of an `each`.
      const [call = ''] = [...before.matchAll(/\b(?:it|test|describe)(?:\.\w+)*(?=\()/g)].at(-1) ?? [];
      return { call, title, isSkipped: isGroupSkipped || /\.(?:skip|todo|fails)$/.test(call) };
    },
  );
}

const titled = globSync('test/**/*.test.ts', { cwd: new URL('..', import.meta.url) })
  .filter((file) => !file.endsWith('edgeCases.test.ts'))
  .flatMap((file) => titledIn(readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')));

describe('N23 each edge case has tests that prove it', () => {
  test.each(Object.entries(edgeCases))('%s $about', (id, { tests }) => {
    expect(tests.length).toBeGreaterThan(0);
    for (const title of tests) {
      const found = titled.filter((each) => each.title === title);
      expect(found, title).toHaveLength(1);
      expect(found[0], title).toMatchObject({ isSkipped: false, call: expect.stringMatching(/./) });
      expect(title).toContain(id);
    }
  });

  test('no test names one that is not in the list', () => {
    const named = new Set(titled.flatMap(({ title }) => title.match(/EC-\d{3}/g) ?? []));
    expect([...named].filter((id) => !(id in edgeCases))).toEqual([]);
  });

  test.each([
    ['a missing test', "it('something else', () => {});", []],
    ['a name in a comment', "// it('EC-001 x', () => {});", []],
    ['a test', "it('EC-001 x', () => {});", [{ call: 'it', title: 'EC-001 x', isSkipped: false }]],
    [
      'a table',
      "test.each([1])('EC-001 %j', () => {});",
      [{ call: 'test.each', title: 'EC-001 %j', isSkipped: false }],
    ],
    ['a skipped test', "it.skip('EC-001 x', () => {});", [{ call: 'it.skip', title: 'EC-001 x', isSkipped: true }]],
    [
      'a skipped group',
      "describe.skip('g', () => { it('EC-001 x', () => {}); });",
      [{ call: 'it', title: 'EC-001 x', isSkipped: true }],
    ],
  ])('this check sees %s', (_, source, seen) => expect(titledIn(source)).toEqual(seen));
});
