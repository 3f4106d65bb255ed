import { formatBytes } from '../base/format.ts';
import type { RouteOutput } from '../protocol/api.ts';
import { plural } from './amounts.ts';

export function windowDeletedSentence(deleted: RouteOutput<'deleteWindow'>): string {
  const { window, blocksDeleted, bytesFreed, blocksKept } = deleted;
  const shared =
    blocksKept === 0
      ? ''
      : ` ${plural(blocksKept, 'KV block')} stay, because other windows or automatic checkpoints need them.`;
  return `Deleted window ${window} and ${plural(blocksDeleted, 'KV block')}. This freed ${formatBytes(bytesFreed)}.${shared}`;
}

/** @param session its title or id, as this client names it. */
export function sessionDeletedSentence(session: string, deleted: RouteOutput<'deleteSession'>): string {
  const { deletedWindows: windows = [], kvBytesFreed, unreached = [] } = deleted;
  const what =
    windows.length === 0
      ? `Deleted session ${session}.`
      : `Deleted session ${session} and ${plural(windows.length, 'window')}: ${windows.join(', ')}.`;
  return [
    what,
    ...(kvBytesFreed === undefined ? [] : [`This freed ${formatBytes(kvBytesFreed)} of KV.`]),
    ...unreached.map(({ engine, why }) => `${engine} may have KV of it still: ${why}`),
  ].join(' ');
}
