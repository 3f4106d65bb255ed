import { commands, window } from 'vscode';
import { repairSentence } from '../../../words/verification.ts';
import type { CommandId } from '../../contributions.ts';
import { documentUri } from '../../documents/documentUri.ts';
import { inBackground } from '../../../base/inBackground.ts';
import { command } from '../command.ts';
import { engineOfWindow } from '../windows/engineOfWindow.ts';

interface Request {
  readonly window?: string;
  readonly repair?: boolean;
}

/** Checks the files of one window, or all files, against their checksums. */
export const verify = command('cwm.verify', {
  ask: async (_app, { window, repair }): Promise<Request> => ({
    ...(window === undefined ? {} : { window }),
    ...(repair === undefined ? {} : { repair }),
  }),
  progress: ({ window, repair }: Request) => ({
    title: `${repair === true ? 'Repairing' : 'Verifying'} ${window ?? 'everything'}`,
  }),
  async perform(app, request: Request, call) {
    const ofWindow = request.window === undefined ? undefined : await engineOfWindow(app, request.window);
    const result = await app.connection.call('verify', { ...request, ...ofWindow }, call);
    app.reports.verification = { result, window: request.window ?? null };
    return result;
  },
  async show(app, { healthy }, request: Request) {
    await app.documents.showRendered(documentUri('verification', 'Verification'));
    if (!healthy && request.repair !== true) inBackground(app.log, 'Offering a repair', offerRepair(request));
  },
});

async function offerRepair(request: Request): Promise<void> {
  const repair = 'Repair';
  if ((await window.showWarningMessage(`Something is damaged. ${repairSentence}`, repair)) !== repair) return;
  await commands.executeCommand('cwm.verify' satisfies CommandId, { ...request, repair: true });
}
