import { readdirSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
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
      'expired→active',
      'expired→deleted',
    ]);
    expect(outcome(() => moveLifecycle('frozen', 'active'))).toBe('CWM-3001');
  });

  test('S0-30 no source of the core changes a lifecycle but by a move; a new session begins as it is made', () => {
    const core = fileURLToPath(new URL('../../src/core', import.meta.url));
    const files = readdirSync(core, { recursive: true, encoding: 'utf8' })
      .map((file) => file.replaceAll(path.sep, '/'))
      .filter((file) => file.endsWith('.ts') && file !== 'lifecycle.ts');
    const writes = files.flatMap((file) => {
      const javaScript = stripTypeScriptTypes(readFileSync(path.join(core, file), 'utf8'), { mode: 'strip' });
      return [...javaScript.matchAll(/\blifecycle'?\s*(?::|=(?![=>]))\s*(.*)/g)].map(
        ([, value]) => `${file}: ${value}`,
      );
    });
    expect(writes.filter((write) => !write.includes('moveLifecycle('))).toEqual([
      // A query, the filter of a list, and a session that a thaw makes.
      expect.stringMatching(/^sessions\/expiry\.ts: 'active'/),
      expect.stringMatching(/^sessions\/sessions\.ts: input\.lifecycle/),
      "windows/thaw/thaw.ts: 'thawed',",
    ]);
  });
});
