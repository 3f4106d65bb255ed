import { window } from 'vscode';
import { formatAge, formatBytes } from '../../../base/format.ts';
import { plural } from '../../../words/amounts.ts';
import { emptiedSentence, emptyTrashSentence, restoredSentence } from '../../../words/trash.ts';
import type { App } from '../../app.ts';
import { commandTitles } from '../../contributions.ts';
import { showDone } from '../../ui/notifications.ts';
import { command } from '../command.ts';

/** Restores a deleted session or window. */
export const restoreFromTrash = command('cwm.restoreFromTrash', {
  async ask(app, { item }) {
    const chosen = item ?? (await pickFromTrash(app));
    return chosen === undefined ? undefined : { item: chosen };
  },
  perform: (app, request) => app.connection.call('restoreFromTrash', request),
  show: (app, restored) => showDone(app, restoredSentence(restored)),
});

async function pickFromTrash(app: App): Promise<string | undefined> {
  const { items } = await app.connection.call('listTrash', {});
  const now = new Date();
  const restorable = items
    .filter(({ kind }) => kind !== 'other')
    .map(({ id, kind, name, deletedAt, sizeBytes }) => ({
      label: name,
      description: `${kind} · deleted ${formatAge(deletedAt, now)} · ${formatBytes(sizeBytes)}`,
      id,
    }));
  const placeHolder = restorable.length === 0 ? emptyTrashSentence : 'Select what to restore';
  return (await window.showQuickPick(restorable, { title: commandTitles['cwm.restoreFromTrash'], placeHolder }))?.id;
}

export const emptyTrash = command('cwm.emptyTrash', {
  async ask(app, { confirmed }) {
    if (confirmed === true) return {};
    const { items } = await app.connection.call('listTrash', {});
    const bytes = items.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const yes = 'Delete for Good';
    const detail = `This deletes ${plural(items.length, 'session or window', 'sessions and windows')} (${formatBytes(bytes)}). You cannot restore them.`;
    const answer = await window.showWarningMessage('Empty the trash?', { modal: true, detail }, yes);
    return answer === yes ? {} : undefined;
  },
  perform: (app) => app.connection.call('emptyTrash', { all: true }),
  show: (app, emptied) => showDone(app, emptiedSentence(emptied)),
});
