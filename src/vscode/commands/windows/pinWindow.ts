import { pickWindow } from '../../pick/pickWindow.ts';
import { command } from '../command.ts';

export const pinWindow = pinCommand('cwm.pinWindow', 'Pin this window', true);
export const unpinWindow = pinCommand('cwm.unpinWindow', 'Unpin this window', false);

/** No budget evicts the KV of a pinned window. */
function pinCommand(id: 'cwm.pinWindow' | 'cwm.unpinWindow', prompt: string, pinned: boolean) {
  return command(id, {
    async ask(app, input) {
      const name = input.window ?? (await pickWindow(app, prompt));
      return name === undefined ? undefined : { window: name };
    },
    perform: (app, request) => app.connection.call('pinWindow', { ...request, pinned }),
  });
}
