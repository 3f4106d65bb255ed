import { window } from 'vscode';
import type { Receipt } from '../../../protocol/schemas/receipt.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { App } from '../../app.ts';
import type { CommandInput } from '../../contributions.ts';
import { showReceiptMessage } from '../../ui/notifications.ts';
import { defaultWindowName, windowNameProblem } from '../../pick/names.ts';
import { command } from '../command.ts';
import { noteReceipt } from './noteReceipt.ts';
import { targetSession } from '../../pick/pickSession.ts';

interface Request {
  readonly session: Session;
  readonly name: string;
}

/** Ends the session's turn-taking: it is read-only until it is thawed. */
export const freeze = freezeCommand('Freeze', 'Freezing', false);
/** Keeps the session as it is and running. */
export const checkpoint = freezeCommand('Checkpoint', 'Keeping a checkpoint of', true);

function freezeCommand(title: string, doing: string, isCheckpoint: boolean) {
  return command<CommandInput<'cwm.freeze'>, Request, Receipt>({
    title,
    async ask(app, input) {
      const session = await targetSession(app, input.session, `${title} this session`);
      if (session === undefined) return undefined;
      const name = input.name ?? (await askWindowName(title, defaultWindowName(session.title, new Date())));
      return name === undefined ? undefined : { session, name };
    },
    progress: ({ session, name }) => ({ title: `${doing} “${session.title}” as ${name}`, subject: name }),
    async perform(app: App, { session, name }, signal) {
      const receipt = await app.connection.call(
        'freeze',
        { session: session.id, engine: session.engine, window: name, checkpoint: isCheckpoint },
        signal,
      );
      await noteReceipt(app, receipt);
      return receipt;
    },
    show: showReceiptMessage,
  });
}

/** Checks while the user types. */
export function askWindowName(title: string, offered: string): Thenable<string | undefined> {
  return window.showInputBox({
    title,
    prompt: 'A name for the window: 1 to 128 of A–Z, a–z, 0–9, "_" and "-".',
    value: offered,
    validateInput: windowNameProblem,
  });
}
