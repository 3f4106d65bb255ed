import { type Disposable, Uri, commands } from 'vscode';
import * as z from 'zod/mini';
import { CwmError } from '../../protocol/errors.ts';
import type { App } from '../app.ts';
import { type CommandId, type CommandInput, type CommandOutput, commandInputs } from '../contributions.ts';
import { showFailure } from '../ui/notifications.ts';
import { clone } from './windows/clone.ts';
import type { CommandResult, RunCommand } from './command.ts';
import { deleteSession } from './sessions/deleteSession.ts';
import { deleteWindow } from './windows/deleteWindow.ts';
import { decryptStorage, encryptStorage } from './backend/encryption.ts';
import { checkpoint, freeze } from './windows/freeze.ts';
import { goBack } from './sessions/goBack.ts';
import { listWindows } from './windows/listWindows.ts';
import { newSession } from './sessions/newSession.ts';
import { prime, primeSelection } from './sessions/prime.ts';
import { doctor, showReceipt, startEngine, status, verify } from './backend/reports.ts';
import { send, showConversation } from './sessions/send.ts';
import { setApiKey } from './backend/setApiKey.ts';
import { emptyTrash, pinWindow, prune, restoreFromTrash, unpinWindow, usage } from './backend/space.ts';
import { switchSession } from './sessions/switchSession.ts';
import { resume, thaw } from './windows/thaw.ts';
import {
  openSettings,
  refresh,
  showActions,
  showAllFolders,
  showLog,
  showMore,
  showThisFolder,
} from './editor/views.ts';

const handlers: { readonly [Id in CommandId]: RunCommand<CommandInput<Id>, CommandOutput<Id>> } = {
  'cwm.newSession': newSession,
  'cwm.switchSession': switchSession,
  'cwm.prime': prime,
  'cwm.primeSelection': primeSelection,
  'cwm.send': send,
  'cwm.showConversation': showConversation,
  'cwm.freeze': freeze,
  'cwm.checkpoint': checkpoint,
  'cwm.resume': resume,
  'cwm.thaw': thaw,
  'cwm.clone': clone,
  'cwm.deleteWindow': deleteWindow,
  'cwm.deleteSession': deleteSession,
  'cwm.goBack': goBack,
  'cwm.pinWindow': pinWindow,
  'cwm.unpinWindow': unpinWindow,
  'cwm.usage': usage,
  'cwm.prune': prune,
  'cwm.restoreFromTrash': restoreFromTrash,
  'cwm.emptyTrash': emptyTrash,
  'cwm.encryptStorage': encryptStorage,
  'cwm.decryptStorage': decryptStorage,
  'cwm.listWindows': listWindows,
  'cwm.status': status,
  'cwm.showReceipt': showReceipt,
  'cwm.verify': verify,
  'cwm.doctor': doctor,
  'cwm.startEngine': startEngine,
  'cwm.setApiKey': setApiKey,
  'cwm.showLog': showLog,
  'cwm.openSettings': openSettings,
  'cwm.showActions': showActions,
  'cwm.refresh': refresh,
  'cwm.showMore': showMore,
  'cwm.showAllFolders': showAllFolders,
  'cwm.showThisFolder': showThisFolder,
};

/** Every command of `contributions.ts`; one that is missing here does not compile. */
export function registerCommands(app: App): Disposable[] {
  return (Object.keys(handlers) as CommandId[]).map((id) => register(app, id));
}

function register(app: App, id: CommandId): Disposable {
  // The schema of this id makes its input what this handler takes.
  const run = handlers[id] as RunCommand<unknown, unknown>;
  return commands.registerCommand(id, async (given: unknown, selection: unknown): Promise<CommandResult<unknown>> => {
    const input = z.safeParse(commandInputs[id], commandInput(given, selection));
    if (input.success) return run(app, input.data);
    const error = new CwmError('InvalidParameter', `The command ${id} was given what it does not understand.`, {
      hint: 'Correct the arguments in the keybinding or the extension that calls it.',
    });
    showFailure(app, id, error, null);
    return { kind: 'failed', error: error.report() };
  });
}

/** What VS Code passes from a menu as the input it stands for: the explorer gives the clicked file and all selected ones. */
function commandInput(given: unknown, selection: unknown): unknown {
  if (!(given instanceof Uri)) return given ?? {};
  const uris = Array.isArray(selection) ? selection.filter((one) => one instanceof Uri) : [];
  return { paths: (uris.length === 0 ? [given] : uris).map((uri) => uri.fsPath) };
}
