import type { RouteOutput } from '../../protocol/api.ts';
import { toCwmError } from '../../protocol/errors.ts';
import type { CommandInput } from '../contributions.ts';
import { documentUri } from '../documents/documentUri.ts';
import { engineSpec } from '../engineSpec.ts';
import { command } from './command.ts';
import { engineOfWindow } from './engineOfWindow.ts';
import { pickWindow } from './pickWindow.ts';

/** Session, backend and engine in plain words. Answers also when the backend is down: that is a status. */
export const status = command<CommandInput<'cwm.status'>, object, RouteOutput<'health'> | undefined>({
  title: 'Status',
  ask: async () => ({}),
  async perform(app) {
    try {
      const health = await app.connection.call('health', {});
      await app.puller.all();
      return health;
    } catch (error) {
      app.log.warn('The status was asked for while the backend cannot be reached.', toCwmError(error));
      return undefined;
    }
  },
  show: (app) => app.documents.showRendered(documentUri('status', 'Status')),
});

/** What the engine can do, by trying it. */
export const doctor = command<CommandInput<'cwm.doctor'>, { engine: string }, RouteOutput<'doctor'>>({
  title: 'Doctor',
  ask: async () => ({ engine: engineSpec() }),
  progress: ({ engine }) => ({ title: `Asking engine ${engine} what it can do`, subject: engine }),
  async perform(app, request, signal) {
    const findings = await app.connection.call('doctor', request, signal);
    app.reports.doctor = findings;
    await app.puller.engine();
    return findings;
  },
  show: (app) => app.documents.showRendered(documentUri('doctor', 'Doctor')),
});

/** Starts the embedded engine, or looks again whether the server of a URL answers. */
export const startEngine = command<CommandInput<'cwm.startEngine'>, { engine: string }, RouteOutput<'doctor'>>({
  title: 'Start Engine',
  ask: async () => ({ engine: engineSpec() }),
  progress: ({ engine }) => ({ title: `Starting engine ${engine}`, subject: engine }),
  async perform(app, request, signal) {
    const findings = await app.connection.call('doctor', request, signal);
    await app.puller.engine();
    return findings;
  },
});

/** Checks files against their checksums: of one window, or of everything. */
export const verify = command<CommandInput<'cwm.verify'>, { window?: string }, RouteOutput<'verify'>>({
  title: 'Verify',
  ask: async (_app, { window }) => (window === undefined ? {} : { window }),
  progress: ({ window }) => ({
    title: window === undefined ? 'Verifying everything' : `Verifying ${window}`,
    subject: window ?? '',
  }),
  async perform(app, request, signal) {
    const ofWindow = request.window === undefined ? undefined : await engineOfWindow(app, request.window);
    const result = await app.connection.call('verify', { ...request, ...ofWindow }, signal);
    app.reports.verification = { result, window: request.window ?? null };
    await app.puller.all();
    return result;
  },
  show: (app) => app.documents.showRendered(documentUri('verification', 'Verification')),
});

/** What was measured on a window, in plain words, newest first. */
export const showReceipt = command<CommandInput<'cwm.showReceipt'>, string, undefined>({
  title: 'Show Receipt',
  ask: async (app, { window }) => window ?? pickWindow(app, 'Show the receipts of this window'),
  async perform(app, window) {
    await app.connection.call('getWindow', { window });
    app.documents.refresh('receipts', window);
    await app.documents.showText(documentUri('receipts', window, window));
    return undefined;
  },
});
