import { documentUri } from '../../documents/documentUri.ts';
import { pickWindow } from '../../pick/pickWindow.ts';
import { command } from '../command.ts';

/** Opens the receipts of a window, newest first. */
export const showReceipt = command('cwm.showReceipt', {
  ask: async (app, { window }): Promise<string | undefined> =>
    window ?? pickWindow(app, 'Show the receipts of this window'),
  async perform(app, window) {
    await app.connection.call('getWindow', { window });
    app.documents.refresh('receipts', window);
    await app.documents.showText(documentUri('receipts', window, window));
    return undefined;
  },
});
