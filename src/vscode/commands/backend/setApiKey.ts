import { window } from 'vscode';
import { apiKeySecret, commandTitles } from '../../contributions.ts';
import { showDone } from '../../ui/notifications.ts';
import { engineOfNewSessions } from '../../settings/engineSpec.ts';
import { command } from '../command.ts';

/** Stores the model server's API key in the secret storage; an empty one removes it. */
export const setApiKey = command('cwm.setApiKey', {
  async ask(app) {
    const engine = await engineOfNewSessions(app.connection);
    const key = await window.showInputBox({
      title: commandTitles['cwm.setApiKey'],
      prompt: `The API key of ${engine}. Leave it empty to remove the key.`,
      password: true,
      ignoreFocusOut: true,
    });
    return key === undefined ? undefined : { engine, key: key.trim() };
  },
  async perform(app, { engine, key }) {
    const { secrets } = app.context;
    await (key === '' ? secrets.delete(apiKeySecret(engine)) : secrets.store(apiKeySecret(engine), key));
    return undefined;
  },
  show: (app, _done, { engine, key }) =>
    showDone(
      app,
      key === ''
        ? `The API key of ${engine} was removed.`
        : `The API key of ${engine} is stored in the secret storage.`,
    ),
});
