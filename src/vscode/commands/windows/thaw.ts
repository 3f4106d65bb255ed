import { window } from 'vscode';
import { CwmError } from '../../../protocol/errors.ts';
import type { Receipt } from '../../../protocol/schemas/receipt.ts';
import type { App } from '../../app.ts';
import type { CommandInput } from '../../contributions.ts';
import { showReceiptMessage } from '../../ui/notifications.ts';
import { command } from '../command.ts';
import { activate } from '../sessions/createSession.ts';
import { engineOfWindow } from './engineOfWindow.ts';
import { noteReceipt } from './noteReceipt.ts';
import { pickExistingSession } from '../../pick/pickSession.ts';
import { pickWindow } from '../../pick/pickWindow.ts';

interface Request {
  readonly window: string;
  readonly resume: boolean;
  readonly insist: boolean;
}

/** Opens a window as a new session, warmed from its KV where the engine still has it. */
export const thaw = command<CommandInput<'cwm.thaw'>, Request, Receipt>({
  title: 'Thaw',
  async ask(app, input) {
    const name = input.window ?? (await pickWindow(app, 'Thaw this window'));
    return name === undefined ? undefined : { window: name, resume: false, insist: input.insist ?? false };
  },
  progress: ({ window }) => ({ title: `Thawing ${window}`, subject: window }),
  perform: thawOrInsist,
  show: showReceiptMessage,
});

/** Goes on in a frozen session itself. */
export const resume = command<CommandInput<'cwm.resume'>, Request, Receipt>({
  title: 'Resume',
  async ask(app, input) {
    const session =
      input.session === undefined
        ? await pickExistingSession(app, 'Go on in this frozen session', { lifecycle: 'frozen' })
        : await app.connection.call('getSession', { session: input.session });
    if (session === undefined) return undefined;
    if (session.frozenAs === null) {
      throw new CwmError('InvalidTransition', `Session “${session.title}” is not frozen.`, {
        hint: 'Switch to it to go on with it.',
      });
    }
    return { window: session.frozenAs, resume: true, insist: false };
  },
  progress: ({ window }) => ({ title: `Resuming from ${window}`, subject: window }),
  perform: thawOrInsist,
  show: showReceiptMessage,
});

/** Another model behind the engine is refused by the backend; the user may want the text all the same. */
async function thawOrInsist(app: App, request: Request, signal: AbortSignal | undefined): Promise<Receipt> {
  try {
    return await thawNow(app, request, signal);
  } catch (error) {
    if (!(error instanceof CwmError) || error.name !== 'ModelMismatch' || request.insist) throw error;
    const yes = 'Thaw without KV';
    const answer = await window.showWarningMessage(
      error.message,
      {
        modal: true,
        detail: 'The conversation can be opened all the same. Its KV cache belongs to the other model and is not used.',
      },
      yes,
    );
    if (answer !== yes) throw error;
    return thawNow(app, { ...request, insist: true }, signal);
  }
}

async function thawNow(app: App, request: Request, signal: AbortSignal | undefined): Promise<Receipt> {
  const ofWindow = await engineOfWindow(app, request.window);
  const receipt = await app.connection.call('thaw', { ...request, ...ofWindow }, signal);
  const session = await app.connection.call('getSession', { session: receipt.session });
  await activate(app, session);
  await noteReceipt(app, receipt);
  return receipt;
}
