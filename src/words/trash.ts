import { formatAge, formatBytes } from '../base/format.ts';
import type { RouteOutput } from '../protocol/api.ts';
import type { TrashItem } from '../protocol/schemas/space.ts';
import { formatStamp, plural } from './amounts.ts';
import type { Table } from './rows.ts';

/** How long the store holds deleted things. A test compares it with the store's own figure. */
export const trashDays = 7;

/** For a person who is about to delete something. */
export const trashSentence = `You can restore it from the trash for ${trashDays} days.`;

export const emptyTrashSentence = 'The trash is empty.';

export const trashTable = (items: readonly TrashItem[], now: Date): Table => ({
  head: ['Item', 'Kind', 'Name', 'Size', 'Deleted', 'Removed after'],
  rows: items.map(({ id, kind, name, sizeBytes, deletedAt, expiresAt }) => [
    id,
    kind,
    name,
    formatBytes(sizeBytes),
    formatAge(deletedAt, now),
    formatStamp(expiresAt),
  ]),
});

export const restoredSentence = ({ kind, name }: RouteOutput<'restoreFromTrash'>): string =>
  `Restored ${kind} ${name} from the trash.`;

export const emptiedSentence = ({ items, bytesFreed }: RouteOutput<'emptyTrash'>): string =>
  `Removed ${plural(items.length, 'item')} for good. This freed ${formatBytes(bytesFreed)}.`;

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
