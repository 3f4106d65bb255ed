import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { receiptText as cliReceipt } from '../../src/cli/receiptText.ts';
import { formatFacts, formatTable } from '../../src/cli/terminal/layout.ts';
import { withSummary } from '../../src/core/windows/receipts.ts';
import { verdicts, type Receipt } from '../../src/protocol/schemas/receipt.ts';
import { receiptText as editorReceipt } from '../../src/vscode/render/receiptText.ts';
import { usageReport } from '../../src/vscode/render/usageReport.ts';
import { plural } from '../../src/words/amounts.ts';
import { receiptWords } from '../../src/words/receipt.ts';
import { usageWords } from '../../src/words/usage.ts';
import { verdictWords } from '../../src/words/verdicts.ts';
import { aReceipt } from '../support/aReceipt.ts';
import { aUsage } from '../support/aUsage.ts';

const now = new Date('2026-11-20T10:03:00.000Z');

/** The rows of a table in one of the documents: its first and its second column. */
function documentRows(file: string): Record<string, string> {
  const text = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
  return Object.fromEntries(
    Array.from(text.matchAll(/^\| (?:\*\*|`)([\w-]+)(?:\*\*|`) +\| (.+?) +\|$/gm), ([, name = '', value = '']) => [
      name,
      value,
    ]),
  );
}

describe('the clients say the same', () => {
  test.each(verdicts)('the command line and the editor say the same sentences about "%s"', (verdict) => {
    const receipt = aReceipt({ verdict, notes: ['Change a flag.'] });
    const { sentences } = receiptWords(receipt);
    expect(sentences).toEqual([receipt.summary, verdictWords[verdict].meaning]);
    for (const text of [cliReceipt(receipt), editorReceipt(receipt)]) {
      expect(text).toContain(sentences.join('\n'));
      expect(text).toContain('Change a flag.');
    }
  });

  test('both show every fact of a receipt under the same name and with the same value', () => {
    const receipt = aReceipt();
    const facts = receiptWords(receipt).evidence.map(
      ([name, value]) => new RegExp(`  ${name} +${escaped(value ?? '')}$`, 'm'),
    );
    expect(facts.length).toBeGreaterThan(10);
    for (const fact of facts) {
      expect(cliReceipt(receipt)).toMatch(fact);
      expect(editorReceipt(receipt)).toMatch(fact);
    }
  });

  test('S0-50 both show every fact of the usage under the same name and with the same value', () => {
    const usage = aUsage({ freeBytes: 1e9 });
    const { rows } = usageWords(usage, now);
    const [cli, editor] = [formatFacts(rows), usageReport(usage, [], now)];
    for (const [name, value] of rows) {
      expect(cli).toMatch(new RegExp(`  ${escaped(name)} +${escaped(value ?? '')}$`, 'm'));
      expect(editor).toContain(`| ${name} | ${value} |`);
    }
  });

  test.each(['README.md', 'docs/architecture.md'])(
    '%s gives every verdict the meaning that the clients give it',
    (file) => {
      const rows = documentRows(file);
      const meanings = Object.fromEntries(verdicts.map((verdict) => [verdict, verdictWords[verdict].meaning]));
      expect(rows).toMatchObject(meanings);
    },
  );

  test('a receipt that the core writes says of a mismatch and of no server what the clients say', () => {
    const sentence = (verdict: Receipt['verdict']): string => withSummary(aReceipt({ verdict })).summary;
    expect(sentence('mismatch')).toContain('the served model differs from the frozen one in name or weights');
    expect(sentence('text-only')).toContain(
      'the model server did not bring the KV cache back. The conversation is open, and nothing was warmed.',
    );
    expect(sentence('unobserved')).toContain('gives no usable evidence of reuse');
    for (const verdict of verdicts) {
      expect(sentence(verdict).toLowerCase().replace(' ', '-')).toMatch(new RegExp(`^${verdict}:`));
    }
  });

  test('amounts have a singular and a plural, and columns have headings in capital letters', () => {
    expect([plural(1, 'file'), plural(1200, 'file')]).toEqual(['1 file', '1,200 files']);
    expect(formatTable({ head: ['Created'], rows: [['just now']] })).toBe('CREATED\njust now');
  });
});

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
