import { describe, expect, test } from 'vitest';
import type { Usage } from '../../src/protocol/schemas/space.ts';
import { usageReport } from '../../src/vscode/render/usageReport.ts';
import { treeRow } from '../../src/vscode/render/treeRow.ts';
import { aState, aWindow, now } from './builders.ts';
import { aTokenUsage, aUsage } from '../support/aUsage.ts';
import { windowName } from '../support/ids.ts';

const aWindowUsage = (changes: Partial<Usage['items'][number]> = {}): Usage['items'][number] => ({
  name: windowName('lunch'),
  pinned: false,
  lastUsedAt: '2026-11-20T10:01:00.000Z',
  tokens: 8192,
  recordBytes: 40_000,
  kv: { bytes: 12_600_000, uniqueBytes: 600_000, sharedBytes: 12_000_000, missingBlocks: 0, measured: 'now' },
  ...changes,
});

const items = [aWindowUsage({ name: windowName('unseen'), kv: null }), aWindowUsage({ pinned: true })];

describe('S0-50 what takes the space', () => {
  test('limits are shown where there are any, and what the system does not report is not observed, never 0', () => {
    const report = usageReport(aUsage({ items }), [], now);
    expect(report).toContain('| - of the embedded model server | 15 MB of at most 50 GB |');
    const { kv } = aUsage();
    const ofAll = usageReport(aUsage({ kv: { ...kv, isBudgetOfAllEngines: true } }), [], now);
    expect(ofAll).toContain('| - of the embedded model server | 15 MB |');
    expect(ofAll).toContain('| Budget for KV of all model servers | 50 GB |');
    expect(report).toContain('| Total | 16.1 MB |');
    expect(report).toContain('| Free on the disk | not observed |');
    expect(report).toContain('| Reused in thaws | 16,352 tokens of 16,384, in 2 thaws |');
  });

  test('windows come largest first, with what is their own and what others share, pinned ones named', () => {
    const rows = usageReport(aUsage({ items }), [], now)
      .split('\n')
      .filter((line) => /^\| (lunch|unseen)/.test(line));
    expect(rows).toEqual([
      expect.stringMatching(/^\| lunch \| 12\.6 MB \| 600 kB \| 12 MB \| {2}\| 40 kB \| 2 min ago \| pinned \|$/),
      expect.stringMatching(/^\| unseen \| not observed \| not observed \| not observed \| {2}\| 40 kB \|/),
    ]);
  });

  test('S1-35 tokens and costs come by model, with what is not known said once', () => {
    const tokens = [aTokenUsage(), aTokenUsage({ by: 'source', items: [] })];
    const report = usageReport(aUsage(), tokens, now);
    expect(report).toContain('| qwen | 3 | 3,000 | 2,400 | 600 | 150 | 0.00420 EUR |');
    expect(report).toContain('| mute | 1 | not known | not known | not known | not known | not known |');
    expect(report.match(/Without a price/g)).toHaveLength(1);
    expect(report).toContain('/store/prices.json');
    const own = { ...aTokenUsage().items[0]!, cost: null };
    const free = usageReport(aUsage(), [aTokenUsage({ items: [own] })], now);
    expect(free).toContain('| qwen | 3 | 3,000 | 2,400 | 600 | 150 |\n');
    expect(free).toContain('For costs, write prices');
  });

  test('a pinned window says so in the tree, and offers to be unpinned', () => {
    const row = (pinned: boolean) =>
      treeRow({ kind: 'window', window: 'w', value: aWindow({ pinned }) }, aState(), now);
    expect(row(true)).toMatchObject({ contextValue: 'window.pinned', description: expect.stringMatching(/pinned$/) });
    expect(row(false)).toMatchObject({ contextValue: 'window' });
  });
});
