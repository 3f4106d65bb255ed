import { describe, expect, test } from 'vitest';
import { readableLine, readableText } from '../../src/base/readableText.ts';

const layout = [
  '\u2028',
  '\u2029',
  '\u202a',
  '\u202b',
  '\u202c',
  '\u202d',
  '\u202e',
  '\u2066',
  '\u2067',
  '\u2068',
  '\u2069',
];

describe('text from elsewhere', () => {
  test.each(layout.map((character) => [character.charCodeAt(0).toString(16), character]))(
    'U+%s reaches neither a terminal nor a tree',
    (_, character) => {
      expect(readableText(`evil${character}txt.exe`)).toBe('evil�txt.exe');
      expect(readableLine(`evil${character}txt.exe`)).toMatch(/^evil ?txt\.exe$/);
    },
  );

  test('lines and tabs stay in a text, and become spaces in a line', () => {
    expect(readableText('one\r\n\ttwo\n')).toBe('one\r\n\ttwo\n');
    expect(readableLine('one\r\n\ttwo\n')).toBe('one two ');
  });

  test('a command to a terminal is shown, not obeyed', () => {
    expect(readableText('\u001b[31m\u009b')).toBe('␛[31m�');
    expect(readableLine('\u001b[31m\u009b')).toBe('␛[31m�');
  });

  test('text that runs from right to left, marks and emoji are left as they are', () => {
    const text = 'שלום \u200fעולם\u200e 👩‍💻';
    expect(readableText(text)).toBe(text);
    expect(readableLine(text)).toBe(text);
  });
});
