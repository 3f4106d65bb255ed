import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { verdicts } from '../../src/protocol/schemas/receipt.ts';
import { receiptText } from '../../src/vscode/render/receiptText.ts';
import { verdictWords } from '../../src/words/verdicts.ts';
import { aReceipt } from './builders.ts';

interface Rule {
  readonly match?: string;
  readonly begin?: string;
  readonly captures?: Readonly<Record<string, { name: string }>>;
}

const grammar = JSON.parse(
  readFileSync(new URL('../../syntaxes/cwm-receipt.tmLanguage.json', import.meta.url), 'utf8'),
) as { repository: Readonly<Record<string, Rule>>; patterns: readonly { include: string }[] };
/** Every pattern is also valid JavaScript, so that it can be tried without VS Code's own matcher. */
const matcher = ({ match, begin }: Rule): RegExp => new RegExp(match ?? begin ?? '(?!)');

describe('the grammar of receipts', () => {
  test('marks every verdict by its tone, as the tree does', () => {
    const rule = grammar.repository['verdict'] as Rule;
    for (const verdict of verdicts) {
      const line =
        receiptText(aReceipt({ verdict }))
          .split('\n')
          .find((text) => text.startsWith('Verdict:')) ?? '';
      const groups = matcher(rule).exec(line);
      const marked = groups?.findIndex((group) => group === verdict) ?? -1;
      expect(rule.captures?.[marked]?.name, line).toContain(`verdict.${verdictWords[verdict].tone}`);
    }
  });

  test('knows every line of a receipt but its sentences', () => {
    const rules = grammar.patterns.map(({ include }) => grammar.repository[include.slice(1)] as Rule);
    const receipt = aReceipt({ notes: ['Restart the server with --enable-prompt-tokens-details.'] });
    const unknown = receiptText(receipt)
      .split('\n')
      .filter((line) => line !== '' && !rules.some((rule) => matcher(rule).test(line)));
    expect(unknown).toEqual([receipt.summary, verdictWords.proven.meaning]);
  });
});

describe('the grammar of conversations in one file', () => {
  const { repository, patterns } = JSON.parse(
    readFileSync(new URL('../../syntaxes/cwindow.tmLanguage.json', import.meta.url), 'utf8'),
  ) as typeof grammar;
  const rules = patterns.map(({ include }) => repository[include.slice(1)] as Rule);

  test('marks who speaks, what is said, and what nobody reads', () => {
    const first = (line: string): string => {
      const found = rules.find((rule) => matcher(rule).test(line));
      return Object.entries(repository).find(([, rule]) => rule === found)?.[0] ?? '';
    };
    expect(first('"role": "user",')).toBe('role');
    expect(first('"text": "A \\"word\\".",')).toBe('said');
    expect(first('"ids": "1 2 3",')).toBe('ids');
    expect(first(`"sha256": "${'0a'.repeat(32)}"`)).toBe('checksum');
    expect(first('"createdAt": null')).toBe('key');
  });
});
