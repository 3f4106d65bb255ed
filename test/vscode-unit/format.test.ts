import { describe, expect, test } from 'vitest';
import { formatShortCount } from '../../src/vscode/render/shortCount.ts';
import { markdownTable, plain } from '../../src/words/markdown.ts';

describe('the status bar', () => {
  test('has room for short counts only', () => {
    expect([0, 999, 1000, 8192, 32_768, 131_072, 999_499, 999_500, 1_200_000].map(formatShortCount)).toEqual([
      '0',
      '999',
      '1K',
      '8.2K',
      '32.8K',
      '131K',
      '999K',
      '1M',
      '1.2M',
    ]);
  });
});

describe('markdown', () => {
  test('text from elsewhere stands for itself: no markup, no HTML, no command link, no end of a table cell', () => {
    const hostile = '[x](command:evil) <img src=x> a|b\nnext `code` $(icon)';
    expect(plain(hostile)).toBe('\\[x\\]\\(command:evil\\) &lt;img src=x\\> a\\|b next \\`code\\` \\$\\(icon\\)');
    expect(plain('a\u202egpj.exe\u2066')).toBe('agpj.exe');
    expect(markdownTable({ head: ['a'], rows: [[hostile]] }).split('\n')).toHaveLength(3);
  });
});
