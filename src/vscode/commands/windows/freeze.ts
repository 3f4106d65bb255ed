import { window } from 'vscode';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { App } from '../../app.ts';
import { commandTitles, type CommandId } from '../../contributions.ts';
import { showReceiptMessage } from '../../ui/notifications.ts';
import { defaultWindowName, windowNameProblem } from '../../pick/names.ts';
import { command } from '../command.ts';
import { noteReceipt } from './noteReceipt.ts';
import { targetSession } from '../../pick/pickSession.ts';

interface Request {
  readonly session: Session;
  readonly name: string;
}

/** Freezes a session. It is read-only until it is resumed. */
export const freeze = freezeCommand('cwm.freeze', 'Freezing', false);
/** Makes a window of a session and leaves the session open. */
export const checkpoint = freezeCommand('cwm.checkpoint', 'Making a checkpoint of', true);

function freezeCommand(id: 'cwm.freeze' | 'cwm.checkpoint', doing: string, isCheckpoint: boolean) {
  return command(id, {
    async ask(app, input): Promise<Request | undefined> {
      const session = await targetSession(app, input.session, `${commandTitles[id]} this session`);
      if (session === undefined) return undefined;
      const name = input.name ?? (await askWindowName(id, defaultWindowName(session.title, new Date())));
      return name === undefined ? undefined : { session, name };
    },
    progress: ({ session, name }: Request) => ({ title: `${doing} "${session.title}" as ${name}` }),
    async perform(app: App, { session, name }: Request, call) {
      const receipt = await app.connection.call(
        'freeze',
        { session: session.id, engine: session.engine, window: name, checkpoint: isCheckpoint },
        call,
      );
      noteReceipt(app, receipt);
      return receipt;
    },
    show: showReceiptMessage,
  });
}

/** Asks for a window's name, and checks it while the user types. */
export function askWindowName(id: CommandId, offered: string): Thenable<string | undefined> {
  return window.showInputBox({
    title: commandTitles[id],
    prompt: 'A name for the window: 1 to 128 of A–Z, a–z, 0–9, "_" and "-".',
    value: offered,
    validateInput: windowNameProblem,
  });
}
