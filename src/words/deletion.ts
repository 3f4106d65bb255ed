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
export const sessionDeletedSentence = (session: string, windows: readonly string[]): string =>
  windows.length === 0
    ? `Deleted session ${session}.`
    : `Deleted session ${session} and ${plural(windows.length, 'window')}: ${windows.join(', ')}.`;
