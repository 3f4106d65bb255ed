import { commands, window } from 'vscode';
import type { RouteOutput } from '../../../protocol/api.ts';
import { toCwmError } from '../../../protocol/errors.ts';
import { inBackground } from '../../ui/background.ts';
import type { CommandId, CommandInput } from '../../contributions.ts';
import { documentUri } from '../../documents/documentUri.ts';
import { engineSpec } from '../../settings/engineSpec.ts';
import { command } from '../command.ts';
import { engineOfWindow } from '../windows/engineOfWindow.ts';
import { pickWindow } from '../../pick/pickWindow.ts';

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

interface VerifyRequest {
  readonly window?: string;
  readonly repair?: boolean;
}

async function offerRepair(request: VerifyRequest): Promise<void> {
  const repair = 'Repair';
  const text =
    'Something is damaged. A repair sets damaged records aside, makes anew what follows from others, and deletes damaged KV.';
  if ((await window.showWarningMessage(text, repair)) !== repair) return;
  await commands.executeCommand('cwm.verify' satisfies CommandId, { ...request, repair: true });
}

/** Checks files against their checksums: of one window, or of everything. */
export const verify = command<CommandInput<'cwm.verify'>, VerifyRequest, RouteOutput<'verify'>>({
  title: 'Verify',
  ask: async (_app, { window, repair }) => ({
    ...(window === undefined ? {} : { window }),
    ...(repair === undefined ? {} : { repair }),
  }),
  progress: ({ window, repair }) => ({
    title: `${repair === true ? 'Repairing' : 'Verifying'} ${window ?? 'everything'}`,
    subject: window ?? '',
  }),
  async perform(app, request, signal) {
    const ofWindow = request.window === undefined ? undefined : await engineOfWindow(app, request.window);
    const result = await app.connection.call('verify', { ...request, ...ofWindow }, signal);
    app.reports.verification = { result, window: request.window ?? null };
    await app.puller.all();
    return result;
  },
  async show(app, { healthy }, request) {
    await app.documents.showRendered(documentUri('verification', 'Verification'));
    if (!healthy && request.repair !== true) inBackground(app.log, 'Offering a repair', offerRepair(request));
  },
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
