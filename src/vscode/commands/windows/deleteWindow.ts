import { window } from 'vscode';
import type { RouteOutput } from '../../../protocol/api.ts';
import type { CommandInput } from '../../contributions.ts';
import { showDone } from '../../ui/notifications.ts';
import { formatBytes, formatCount } from '../../../base/format.ts';
import { command } from '../command.ts';
import { pickWindow } from '../../pick/pickWindow.ts';
import { trashSentence } from '../../render/trashSentence.ts';

export const deleteWindow = command<CommandInput<'cwm.deleteWindow'>, { window: string }, RouteOutput<'deleteWindow'>>({
  title: 'Delete Window',
  async ask(app, input) {
    const name = input.window ?? (await pickWindow(app, 'Delete this window'));
    if (name === undefined || input.confirmed === true) return name === undefined ? undefined : { window: name };
    const yes = 'Delete';
    const answer = await window.showWarningMessage(
      `Delete window “${name}”?`,
      {
        modal: true,
        detail: `Its KV blocks are deleted, except those that other windows share. The session and its messages stay. ${trashSentence}`,
      },
      yes,
    );
    return answer === yes ? { window: name } : undefined;
  },
  async perform(app, request) {
    const deleted = await app.connection.call('deleteWindow', request);
    await app.puller.all();
    return deleted;
  },
  show: (app, { window, bytesFreed, blocksKept }) =>
    showDone(
      app,
      `Window ${window} was deleted, ${formatBytes(bytesFreed)} were freed` +
        (blocksKept === 0 ? '.' : `; ${formatCount(blocksKept)} KV blocks stay, because other windows share them.`),
    ),
});
