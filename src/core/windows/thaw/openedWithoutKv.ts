import type { Message } from '../../../protocol/schemas/session.ts';
import type { WindowManifest } from '../../../protocol/schemas/window.ts';
import { emptyKv } from '../../kv/emptyKv.ts';
import type { Outcome } from '../receipts.ts';
import { withoutKv } from './bringKvBack.ts';
import { lossInWords } from './lostMessages.ts';

/* What a thaw comes to that asked the model server nothing: the text is open, and the receipt says why. */

const unasked = (tokens: number, why: string, note: string): Outcome => ({
  ...withoutKv({ kind: 'no-answer' }, { ids: [], kv: emptyKv(0) }, { why, description: null, notes: [note] }),
  tokens,
});

export const notAsked = ({ tokens }: WindowManifest): Outcome =>
  unasked(
    tokens.count,
    'The thaw was to ask the model server nothing.',
    'The KV was not loaded, as asked: the next message loads or computes it.',
  );

export const withoutIds: Outcome = unasked(
  0,
  'Without its token ids the KV cannot be found.',
  "The window's token ids are damaged, so its KV cannot be found. The text is open.",
);

/** The KV holds words that nobody can read any more, so the next message continues from the text that the user sees. */
export const withoutMessages = ({ tokens }: WindowManifest, standIns: readonly Message[]): Outcome =>
  unasked(tokens.count, 'Messages of the conversation are lost, so its KV was not used.', lossInWords(standIns));

/** The manifest is lost; the session's text stands in. */
export const withoutManifest = (damage: string, standIns: readonly Message[]): Outcome =>
  unasked(
    0,
    'Without the manifest of the window its KV cannot be found.',
    [damage, ...(standIns.length > 0 ? [lossInWords(standIns)] : [])].join(' '),
  );

/** The KV is filed under the salt of its lineage. */
export const withoutLineage = ({ tokens }: WindowManifest): Outcome =>
  unasked(
    tokens.count,
    'Without its salt the KV cannot be found.',
    'The record of the salt of this window is damaged, so its KV cannot be found. The text is open. ' +
      'Run "cwm verify --repair" before the next message: it makes another salt.',
  );
