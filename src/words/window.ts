import { formatBytes, formatCount, formatTokens } from '../base/format.ts';
import type { RouteOutput } from '../protocol/api.ts';
import type { WindowSummary } from '../protocol/schemas/window.ts';
import { bytesOrNull } from './amounts.ts';
import { type Row, rowIf, type ShowTime } from './rows.ts';

const creations: Readonly<Record<WindowSummary['mode'], string>> = {
  freeze: 'by a freeze',
  checkpoint: 'by a checkpoint',
  clone: 'as a clone',
};

/** What is known of a window. @param lineage names of its ancestors, oldest first, and its own. */
export const windowRows = (window: WindowSummary, showTime: ShowTime, lineage: readonly string[] = []): Row[] => [
  ['Context', formatTokens(window.tokens)],
  ['KV on disk', bytesOrNull(window.kvBytes)],
  ['Created', `${showTime(window.createdAt)}, ${creations[window.mode]}`],
  ['Last thaw', window.lastThaw === null ? 'never' : `${window.lastThaw.verdict}, ${showTime(window.lastThaw.at)}`],
  ['Model', window.model],
  ['Model server', window.engine],
  ['Session', window.session],
  ...rowIf('Project', window.project),
  ...rowIf(window.mode === 'clone' ? 'Cloned from' : 'Continues', window.parentWindow),
  ...rowIf('Lineage', lineage.length > 1 ? lineage.join(' > ') : null),
  ...rowIf('Tags', window.tags.join(', ')),
  ...rowIf('Pinned', window.pinned ? 'yes: no budget evicts its KV' : null),
];

type KvInFile = RouteOutput<'exportKv'>;

/** What somebody who takes KV from a file should know. */
export const kvRisk = 'KV is a prompt that nobody can read, so take it only from somebody whom you trust';

/** Of a file whose KV was not asked for. */
export const leftKvNote = `The file has KV, which was not taken: ${kvRisk}. Your model server computes the conversation.`;

const ofTokens = ({ tokens, total }: KvInFile): string => `${formatCount(tokens)} of ${formatTokens(total)}`;

/** Before it is written. */
export const kvSizeText = (kv: KvInFile): string => `The KV of ${ofTokens(kv)} takes ${formatBytes(kv.bytes)}.`;

/** What became of it, and what was left out and why. */
export const writtenKvSentences = (kv: KvInFile): string[] => [
  kv.tokens === 0 ? 'It has no KV.' : `It has the KV of ${ofTokens(kv)}, ${formatBytes(kv.bytes)}.`,
  ...kv.notes,
];

export const importedKvSentences = (kv: KvInFile): string[] => [
  kv.tokens === 0
    ? 'No KV of the file is used: your model server computes the conversation.'
    : `Took the KV of ${ofTokens(kv)} from the file. Nobody can read what it tells the model, so no window of this session is proven until "cwm freeze --recompute" computes its KV here.`,
  ...kv.notes,
];
