import { describe, expect, test } from 'vitest';
import { parseWindowName } from '../../src/protocol/ids.ts';
import { defaultWindowName, windowNameProblem } from '../../src/vscode/pick/names.ts';
import { now } from './builders.ts';

describe('names', () => {
  test('S0-24 the offered name is valid whatever the title holds', () => {
    for (const title of ['auth-refactor', '', '日本語', 'ä ö/ü\\?', 'null', '-_-', 'x'.repeat(500), '😀 party']) {
      const name = defaultWindowName(title, now);
      expect(parseWindowName(name)).toBe(name);
    }
    expect(defaultWindowName('auth refactor', now)).toBe('auth-refactor-20261120-100300');
  });

  test('S0-24 a name that is typed is judged by the same rules as everywhere', () => {
    expect(windowNameProblem('fine-1')).toBeNull();
    expect(windowNameProblem('has space')).toContain('other than letters');
    expect(windowNameProblem('')).toContain('empty');
    expect(windowNameProblem('x'.repeat(129))).toContain('128');
  });
});
