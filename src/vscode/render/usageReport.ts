import type { TokenUsage, Usage } from '../../protocol/schemas/space.ts';
import { tokenUsageWords, usageWords } from '../../words/usage.ts';
import { markdownList, markdownPage, markdownTable } from '../../words/markdown.ts';

/** What takes the disk space, and the tokens of turns in some groups, as markdown. */
export function usageReport(usage: Usage, tokens: readonly TokenUsage[], now: Date): string {
  const { rows, windows, projects } = usageWords(usage, now);
  const groups = tokens.map(tokenUsageWords);
  const notes = new Set(groups.flatMap((words) => words.notes));
  return markdownPage('Usage', [
    '## Tokens',
    ...groups.flatMap(({ table }) => (table === null ? [] : [markdownTable(table)])),
    markdownList([...notes]),
    '## Disk Space',
    markdownTable({ head: ['What', 'Size'], rows: rows.map(([name, value]) => [name, value ?? 'not observed']) }),
    ...(projects === null ? [] : ['## Projects', markdownTable(projects)]),
    ...(windows === null ? [] : ['## Windows', markdownTable(windows)]),
    'To free space, run *Context Windows: Prune Windows* or *Empty Trash*. A pinned window keeps its KV.',
  ]);
}
