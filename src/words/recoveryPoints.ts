import { formatAge, formatCount } from '../base/format.ts';
import type { RouteOutput } from '../protocol/api.ts';
import { ofWord, type OtherWord } from '../protocol/schemas/otherWord.ts';
import type { RecoveryReason, RestoreResult } from '../protocol/schemas/tracker.ts';
import { formatStamp, plural } from './amounts.ts';
import type { Table } from './rows.ts';

const reasons: Readonly<Record<RecoveryReason, string>> = {
  update: 'before its state changed',
  turn: 'before a turn',
  restore: 'before going back',
  request: 'by request',
};

export const reasonWords = (reason: RecoveryReason | OtherWord): string => ofWord(reasons, reason) ?? reason;

export const noRecoveryPoint = 'There is no recovery point yet.';

export const recoveryPointsTable = (items: RouteOutput<'listRecoveryPoints'>['items'], now: Date): Table => ({
  head: ['Id', 'Created', 'Reason', 'State version', 'Messages', 'Tokens'],
  rows: items.map(({ id, at, reason, version, messages, tokens }) => [
    id,
    formatAge(at, now),
    reasonWords(reason),
    formatCount(version),
    formatCount(messages),
    formatCount(tokens),
  ]),
});

/** @param session its title or id, as this client names it. */
export const wentBackSentences = (session: string, { restored, state, undo, damaged }: RestoreResult): string[] => [
  `Session ${session} went back to ${formatStamp(restored.at)}: ${plural(restored.messages, 'message')}, state version ${restored.version} (now version ${state.version}).`,
  ...(damaged.length === 0 ? [] : [`These recovery points are damaged and were skipped: ${damaged.join(', ')}.`]),
  ...(undo === null ? [] : [`To undo this, go back to recovery point ${undo}.`]),
];
