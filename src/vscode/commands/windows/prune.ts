import { type QuickPickItem, window } from 'vscode';
import { formatBytes } from '../../../base/format.ts';
import type { RouteInput } from '../../../protocol/api.ts';
import type { PruneResult } from '../../../protocol/schemas/space.ts';
import { plural } from '../../../words/amounts.ts';
import { nothingToPrune, pruneWords } from '../../../words/prune.ts';
import { showDone } from '../../ui/notifications.ts';
import { command } from '../command.ts';

type Which = Pick<RouteInput<'prune'>, 'olderThanDays' | 'keep'>;

interface WhichItem extends QuickPickItem {
  readonly which: Which;
}

const choices: readonly WhichItem[] = [
  ...[7, 30, 90].map((days) => ({ label: `Not used for ${days} days`, which: { olderThanDays: days } })),
  ...[10, 100].map((count) => ({ label: `All but the ${count} used last`, which: { keep: count } })),
];

const shownNames = 10;

/** Moves windows that were not used for long to the trash, after showing which. */
export const prune = command('cwm.prune', {
  async ask(app, { olderThanDays, keep, confirmed }): Promise<Which | undefined> {
    const given = olderThanDays === undefined && keep === undefined ? null : { olderThanDays, keep };
    const which = given ?? (await window.showQuickPick(choices, { title: 'Prune which windows?' }))?.which;
    if (which === undefined || confirmed === true) return which;
    const preview = await app.connection.call('prune', { ...which, dryRun: true });
    if (preview.windows.length === 0) {
      await window.showInformationMessage(`${nothingToPrune} Pinned windows and windows in use stay.`);
      return undefined;
    }
    const yes = 'Prune';
    const question = `Move ${plural(preview.windows.length, 'window')} to the trash?`;
    const answer = await window.showWarningMessage(question, { modal: true, detail: previewText(preview) }, yes);
    return answer === yes ? which : undefined;
  },
  progress: () => ({ title: 'Pruning windows' }),
  perform: (app, which: Which, call) => app.connection.call('prune', which, call),
  show: (app, { windows, bytesFreed }) =>
    showDone(
      app,
      `Moved ${plural(windows.length, 'window')} to the trash. This freed ${formatBytes(bytesFreed)} of KV.`,
    ),
});

function previewText(preview: PruneResult): string {
  const names = preview.windows.map(({ name }) => name);
  const more = names.length > shownNames ? ` and ${names.length - shownNames} more` : '';
  return [`${names.slice(0, shownNames).join(', ')}${more}.`, ...pruneWords(preview, new Date()).sentences].join(' ');
}
