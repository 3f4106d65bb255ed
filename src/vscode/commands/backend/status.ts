import { toCwmError } from '../../../protocol/errors.ts';
import { documentUri } from '../../documents/documentUri.ts';
import { command } from '../command.ts';

/** Shows the current session, the backend and its model servers. A backend that is down is a status too, so this does not fail. */
export const status = command('cwm.status', {
  ask: async () => ({}),
  async perform(app) {
    try {
      const health = await app.connection.call('health', {});
      return health;
    } catch (error) {
      app.log.warn('The backend cannot be reached, so the status has only what the editor knows.', toCwmError(error));
      return undefined;
    }
  },
  show: (app) => app.documents.showRendered(documentUri('status', 'Status')),
});
