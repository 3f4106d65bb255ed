import { window } from 'vscode';
import { showDone } from '../../ui/notifications.ts';
import { windowDeletedSentence } from '../../../words/trash.ts';
import { command } from '../command.ts';
import { pickWindow } from '../../pick/pickWindow.ts';
import { trashSentence } from '../../../words/trash.ts';

export const deleteWindow = command('cwm.deleteWindow', {
  async ask(app, input) {
    const name = input.window ?? (await pickWindow(app, 'Delete this window'));
    if (name === undefined || input.confirmed === true) return name === undefined ? undefined : { window: name };
    const yes = 'Delete';
    const answer = await window.showWarningMessage(
      `Delete window "${name}"?`,
      {
        modal: true,
        detail: `This deletes its KV blocks, except blocks that other windows or automatic checkpoints need. The session and its messages stay. ${trashSentence}`,
      },
      yes,
    );
    return answer === yes ? { window: name } : undefined;
  },
  perform: (app, request) => app.connection.call('deleteWindow', request),
  show: (app, deleted) => showDone(app, windowDeletedSentence(deleted)),
});
