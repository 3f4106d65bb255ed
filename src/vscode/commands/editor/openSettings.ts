import { commands, env } from 'vscode';
import { command } from '../command.ts';

export const openSettings = command('cwm.openSettings', {
  ask: async () => ({}),
  async perform(app) {
    const query = `@ext:${app.context.extension.id}`;
    // An extension on a remote machine reads its machine settings there, not here.
    if (env.remoteName === undefined) await commands.executeCommand('workbench.action.openSettings', query);
    else await commands.executeCommand('workbench.action.openRemoteSettings', { query });
    return undefined;
  },
});
