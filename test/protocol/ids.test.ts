import { describe, expect, test } from 'vitest';
import { CwmError } from '../../src/protocol/errors.ts';
import {
  parseDescription,
  parseProjectUri,
  parseSessionId,
  parseTags,
  parseWindowName,
} from '../../src/protocol/ids.ts';

const codeOf = (run: () => unknown): string => {
  try {
    run();
    return 'accepted';
  } catch (error) {
    return error instanceof CwmError ? error.code : String(error);
  }
};

describe('ids', () => {
  test.each([
    '',
    '   ',
    'has spaces',
    'has/slash',
    '../up',
    'a'.repeat(65),
    'ünïcode',
    '🙂',
    'а',
    'a\u202eb',
    'null',
    'TRUE',
    'metadata',
  ])('S0-24 EC-013 %j is no session id', (value) => expect(codeOf(() => parseSessionId(value))).toBe('CWM-1001'));

  test('EC-012 a window name has 128 characters at most', () => {
    expect(codeOf(() => parseWindowName('a'.repeat(128)))).toBe('accepted');
    expect(codeOf(() => parseWindowName('a'.repeat(129)))).toBe('CWM-1002');
  });

  test('W0-9 honest names that hold a keyword are accepted', () => {
    for (const name of ['typescript-refactor', 'selection-ui', 'update-deps', 'dropdown', 'nullable']) {
      expect(parseWindowName(name)).toBe(name);
    }
  });

  test('S0-24 names are trimmed and normalised before they are judged', () => {
    expect(parseSessionId('  ﬁx-１ ')).toBe('fix-1');
  });

  test('S0-24 at most ten tags of 32 characters; doubles count once', () => {
    expect(parseTags(['a', 'a', 'b'])).toEqual(['a', 'b']);
    expect(codeOf(() => parseTags(Array.from({ length: 11 }, (_, index) => `t${index}`)))).toBe('CWM-1003');
    expect(codeOf(() => parseTags(['t'.repeat(33)]))).toBe('CWM-1003');
    expect(codeOf(() => parseDescription('d'.repeat(1001)))).toBe('CWM-1003');
  });

  test('one folder has one name, with or without a slash at its end', () => {
    expect(parseProjectUri('file:///home/me/project/')).toBe('file:///home/me/project');
    expect(codeOf(() => parseProjectUri('/home/me'))).toBe('CWM-1003');
  });
});
