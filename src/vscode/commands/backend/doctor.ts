import { documentUri } from '../../documents/documentUri.ts';
import { engineOfNewSessions } from '../../settings/engineSpec.ts';
import { command } from '../command.ts';

/** Finds out what the model server can do, by trying it. */
export const doctor = command('cwm.doctor', {
  ask: async ({ connection }) => ({ engine: await engineOfNewSessions(connection) }),
  progress: ({ engine }) => ({ title: `Asking the model server ${engine} what it can do` }),
  async perform(app, request, call) {
    const findings = await app.connection.call('doctor', request, call);
    app.reports.doctor = findings;
    return findings;
  },
  show: (app) => app.documents.showRendered(documentUri('doctor', 'Doctor')),
});

/** Starts the embedded engine, or checks again whether the server at a URL answers. */
export const startEngine = command('cwm.startEngine', {
  ask: async ({ connection }) => ({ engine: await engineOfNewSessions(connection) }),
  progress: ({ engine }) => ({ title: `Starting the model server ${engine}` }),
  perform: (app, request, call) => app.connection.call('doctor', request, call),
});
