import { formatTokens } from '../base/format.ts';
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
