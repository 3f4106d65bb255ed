import { window } from 'vscode';
import type { App } from '../../app.ts';
import { commandTitles, type ContextKeys } from '../../contributions.ts';
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
  ask: async (_app, { session, ofProject }) => ({
    ...(session !== undefined && { session }),
    ...(ofProject !== undefined && { ofProject }),
  }),
  async perform(app, parent) {
    await app.puller.more(parent);
    return undefined;
  },
});

export const showAllFolders = scopeCommand('cwm.showAllFolders', 'all');
export const showThisFolder = scopeCommand('cwm.showThisFolder', 'folder');

/** Shows only sessions with this text in their title or id, of all folders where the tree shows all. */
export const filterSessions = command('cwm.filterSessions', {
  ask: async (app, { text }) =>
    text ??
    window.showInputBox({
      title: commandTitles['cwm.filterSessions'],
      prompt: 'Text in the title or the id of sessions; empty shows all.',
      value: app.state.current.filter,
    }),
  perform: (app, text: string) => showFiltered(app, text.trim()),
});

export const clearFilter = command('cwm.clearFilter', {
  ask: async () => ({}),
  perform: (app) => showFiltered(app, ''),
});

async function showFiltered(app: App, filter: string): Promise<undefined> {
  app.state.update({ filter });
  await app.connection.open();
  await app.puller.sessions();
  return undefined;
}

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
