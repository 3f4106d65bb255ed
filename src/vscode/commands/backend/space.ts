import { type QuickPickItem, window } from 'vscode';
import type { RouteInput, RouteOutput } from '../../../protocol/api.ts';
import type { App } from '../../app.ts';
import type { CommandInput } from '../../contributions.ts';
import { documentUri } from '../../documents/documentUri.ts';
import { showDone } from '../../ui/notifications.ts';
import { formatAge, formatBytes, formatCount } from '../../../base/format.ts';
import { prunePreview } from '../../render/spaceReport.ts';
import { command } from '../command.ts';
import { pickWindow } from '../../pick/pickWindow.ts';

/** Where the space goes, measured anew each time it is shown. */
export const usage = command<CommandInput<'cwm.usage'>, object, undefined>({
  title: 'Space',
  ask: async () => ({}),
  async perform() {
    return undefined;
  },
  show: (app) => app.documents.showRendered(documentUri('usage', 'Space')),
});

type Which = Pick<RouteInput<'prune'>, 'olderThanDays' | 'keep'>;

interface WhichItem extends QuickPickItem {
  readonly which: Which;
}

const choices: readonly WhichItem[] = [
  ...[7, 30, 90].map((days) => ({ label: `Not used for ${days} days`, which: { olderThanDays: days } })),
  ...[10, 100].map((count) => ({ label: `All but the ${count} used last`, which: { keep: count } })),
];

/** Moves windows to the trash that were not used for long; what would go is shown before. */
export const prune = command<CommandInput<'cwm.prune'>, Which, RouteOutput<'prune'>>({
  title: 'Prune Windows',
  async ask(app, { olderThanDays, keep, confirmed }) {
    const given = olderThanDays === undefined && keep === undefined ? null : { olderThanDays, keep };
    const which = given ?? (await window.showQuickPick(choices, { title: 'Prune which windows?' }))?.which;
    if (which === undefined || confirmed === true) return which;
    const preview = await app.connection.call('prune', { ...which, dryRun: true });
    if (preview.windows.length === 0) {
      await window.showInformationMessage('No window is to be pruned: pinned windows and those in use stay.');
      return undefined;
    }
    const yes = 'Prune';
    const question = `Move ${formatCount(preview.windows.length)} windows to the trash?`;
    const answer = await window.showWarningMessage(question, { modal: true, detail: prunePreview(preview) }, yes);
    return answer === yes ? which : undefined;
  },
  progress: () => ({ title: 'Pruning windows', subject: '' }),
  async perform(app, which, signal) {
    const pruned = await app.connection.call('prune', which, signal);
    await app.puller.all();
    return pruned;
  },
  show: (app, { windows, bytesFreed }) =>
    showDone(
      app,
      `${formatCount(windows.length)} windows are in the trash now, ${formatBytes(bytesFreed)} of KV were freed.`,
    ),
});

export const pinWindow = pinCommand('Pin Window', 'Pin this window', true);
export const unpinWindow = pinCommand('Unpin Window', 'Unpin this window', false);

/** No budget takes the KV of a pinned window. */
function pinCommand(title: string, prompt: string, pinned: boolean) {
  return command<CommandInput<'cwm.pinWindow'>, { window: string }, RouteOutput<'pinWindow'>>({
    title,
    async ask(app, input) {
      const name = input.window ?? (await pickWindow(app, prompt));
      return name === undefined ? undefined : { window: name };
    },
    async perform(app, request) {
      const changed = await app.connection.call('pinWindow', { ...request, pinned });
      await app.puller.all();
      return changed;
    },
  });
}

/** Takes back what was deleted in the last seven days. */
export const restoreFromTrash = command<
  CommandInput<'cwm.restoreFromTrash'>,
  { item: string },
  RouteOutput<'restoreFromTrash'>
>({
  title: 'Restore from Trash',
  async ask(app, { item }) {
    const chosen = item ?? (await pickFromTrash(app));
    return chosen === undefined ? undefined : { item: chosen };
  },
  async perform(app, request) {
    const restored = await app.connection.call('restoreFromTrash', request);
    await app.puller.all();
    return restored;
  },
  show: (app, { kind, name }) => showDone(app, `The ${kind} ${name} is back.`),
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
  const placeHolder = restorable.length === 0 ? 'The trash is empty' : 'What to take back';
  return (await window.showQuickPick(restorable, { title: 'Restore from Trash', placeHolder }))?.id;
}

export const emptyTrash = command<CommandInput<'cwm.emptyTrash'>, object, RouteOutput<'emptyTrash'>>({
  title: 'Empty Trash',
  async ask(app, { confirmed }) {
    if (confirmed === true) return {};
    const { items } = await app.connection.call('listTrash', {});
    const bytes = items.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const yes = 'Delete for Good';
    const detail = `${formatCount(items.length)} deleted sessions and windows, ${formatBytes(bytes)}. They can't be had back.`;
    const answer = await window.showWarningMessage('Empty the trash?', { modal: true, detail }, yes);
    return answer === yes ? {} : undefined;
  },
  perform: (app) => app.connection.call('emptyTrash', { all: true }),
  show: (app, { bytesFreed }) => showDone(app, `The trash is empty, ${formatBytes(bytesFreed)} were freed.`),
});
