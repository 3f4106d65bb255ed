import { describe, expect, it } from 'vitest';
import { ownerProblem, ownerProblemInWords } from '../../src/base/fileOwner.ts';

const me = 1000;

describe('the owner of a file', () => {
  it.each([
    ['mine', { uid: me, mode: 0o100_644 }, null],
    ["the administrator's", { uid: 0, mode: 0o100_600 }, null],
    ["another user's", { uid: 1001, mode: 0o100_600 }, 'foreign'],
    ['mine, open to my group', { uid: me, mode: 0o100_660 }, 'open'],
    ['mine, open to all', { uid: me, mode: 0o100_602 }, 'open'],
  ] as const)('%s', (_, file, problem) => {
    expect(ownerProblem(file, me)).toBe(problem);
  });

  it('means nothing where the system has no numbers of users', () => {
    expect(ownerProblem({ uid: 1001, mode: 0o777 }, undefined)).toBeNull();
  });

  it('is told in words, with what a user must look for', () => {
    expect(ownerProblemInWords('foreign', { uid: 1001, mode: 0o600 })).toBe('belongs to another user (number 1001)');
    expect(ownerProblemInWords('open', { uid: me, mode: 0o100_062 })).toBe('can be changed by other users (mode 0062)');
  });
});
