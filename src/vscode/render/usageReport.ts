import type { Usage } from '../../protocol/schemas/space.ts';
import { usageWords } from '../../words/usage.ts';
import { markdownPage, markdownTable } from '../../words/markdown.ts';

/** What takes the disk space, as markdown. */
export function usageReport(usage: Usage, now: Date): string {
  const { rows, windows } = usageWords(usage, now);
  return markdownPage('Usage', [
    markdownTable({ head: ['What', 'Size'], rows: rows.map(([name, value]) => [name, value ?? 'not observed']) }),
    ...(windows === null ? [] : ['## Windows', markdownTable(windows)]),
    'To free space, run *Context Windows: Prune Windows* or *Empty Trash*. A pinned window keeps its KV.',
  ]);
}
