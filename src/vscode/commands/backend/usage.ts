import { documentUri } from '../../documents/documentUri.ts';
import { command } from '../command.ts';

/** Shows what takes the disk space. The page measures again each time it is shown. */
export const usage = command('cwm.usage', {
  ask: async () => ({}),
  perform: async () => undefined,
  show: (app) => app.documents.showRendered(documentUri('usage', 'Usage')),
});
