import { describe, expect, test } from 'vitest';
import { moveLifecycle } from '../../src/core/lifecycle.ts';
import { lifecycles } from '../../src/protocol/schemas/session.ts';

const outcome = (move: () => string): string => {
  try {
    return move();
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe('lifecycle', () => {
  test('S0-30 EC-030 of the 25 pairs, just these are allowed; the others are refused with CWM-3001', () => {
    const allowed = lifecycles.flatMap((from) =>
      lifecycles.filter((to) => outcome(() => moveLifecycle(from, to)) === to).map((to) => `${from}→${to}`),
    );
    expect(allowed).toEqual([
      'active→frozen',
      'active→expired',
      'active→deleted',
      'frozen→thawed',
      'frozen→deleted',
      'thawed→active',
      'thawed→frozen',
      'thawed→deleted',
      'expired→deleted',
    ]);
    expect(outcome(() => moveLifecycle('frozen', 'active'))).toBe('CWM-3001');
  });
});
