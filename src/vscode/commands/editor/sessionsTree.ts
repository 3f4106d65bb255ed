import type { ContextKeys } from '../../contributions.ts';
import { command } from '../command.ts';

/** Fetches everything that the tree shows. Starts the backend when it is not running. */
export const refresh = command('cwm.refresh', {
  ask: async () => ({}),
  async perform(app) {
    await app.connection.open();
    await app.puller.all();
    return undefined;
  },
});

/** Loads one more page of the tree. */
export const showMore = command('cwm.showMore', {
  ask: async (_app, { session }) => ({ session }),
  async perform(app, { session }) {
    await app.puller.more(session);
    return undefined;
  },
});

export const showAllFolders = scopeCommand('cwm.showAllFolders', 'all');
export const showThisFolder = scopeCommand('cwm.showThisFolder', 'folder');

function scopeCommand(id: 'cwm.showAllFolders' | 'cwm.showThisFolder', scope: ContextKeys['cwm.scope']) {
  return command(id, {
    ask: async () => ({}),
    async perform(app) {
      app.state.update({ scope });
      await app.connection.open();
      await app.puller.sessions();
      return undefined;
    },
  });
}
