import { type Disposable, Uri, commands } from 'vscode';
import { readFields } from '../../base/fields.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { App } from '../app.ts';
import { type CommandId, type CommandInput, type CommandOutput, commandInputs } from '../contributions.ts';
import { showFailure } from '../ui/notifications.ts';
import { decryptStorage, encryptStorage } from './backend/encryption.ts';
import { chooseServer } from './backend/chooseServer.ts';
import { doctor, startEngine } from './backend/doctor.ts';
import { chooseModel } from './backend/chooseModel.ts';
import { setApiKey } from './backend/setApiKey.ts';
import { status } from './backend/status.ts';
import { emptyTrash, restoreFromTrash } from './backend/trash.ts';
import { usage } from './backend/usage.ts';
import { verify } from './backend/verify.ts';
import { openSettings } from './editor/openSettings.ts';
import { refresh, showAllFolders, showMore, showThisFolder } from './editor/sessionsTree.ts';
import { showActions } from './editor/showActions.ts';
import { showLog } from './editor/showLog.ts';
import { decideTools } from './sessions/decideTools.ts';
import { deleteSession } from './sessions/deleteSession.ts';
import { goBack } from './sessions/goBack.ts';
import { newSession } from './sessions/newSession.ts';
import { prime, primeSelection } from './sessions/prime.ts';
import { search } from './sessions/search.ts';
import { send, showConversation } from './sessions/send.ts';
import { continueAnswer, regenerate } from './sessions/anotherAnswer.ts';
import { switchBranch } from './sessions/switchBranch.ts';
import { sessionSettings } from './sessions/sessionSettings.ts';
import { setExpiry } from './sessions/setExpiry.ts';
import { switchSession } from './sessions/switchSession.ts';
import { exportConversation, importConversation } from './sessions/transfer.ts';
import { clone } from './windows/clone.ts';
import { deleteWindow } from './windows/deleteWindow.ts';
import { checkpoint, freeze } from './windows/freeze.ts';
import { listWindows } from './windows/listWindows.ts';
import { pinWindow, unpinWindow } from './windows/pinWindow.ts';
import { prune } from './windows/prune.ts';
import { resume } from './windows/resume.ts';
import { showReceipt } from './windows/showReceipt.ts';
import { thaw } from './windows/thaw.ts';
import type { CommandResult, RunCommand } from './command.ts';

const handlers: { readonly [Id in CommandId]: RunCommand<CommandInput<Id>, CommandOutput<Id>> } = {
  'cwm.newSession': newSession,
  'cwm.switchSession': switchSession,
  'cwm.sessionSettings': sessionSettings,
  'cwm.prime': prime,
  'cwm.primeSelection': primeSelection,
  'cwm.send': send,
  'cwm.switchBranch': switchBranch,
  'cwm.regenerate': regenerate,
  'cwm.continueAnswer': continueAnswer,
  'cwm.decideTools': decideTools,
  'cwm.showConversation': showConversation,
  'cwm.search': search,
  'cwm.importConversation': importConversation,
  'cwm.exportConversation': exportConversation,
  'cwm.freeze': freeze,
  'cwm.checkpoint': checkpoint,
  'cwm.resume': resume,
  'cwm.thaw': thaw,
  'cwm.clone': clone,
  'cwm.deleteWindow': deleteWindow,
  'cwm.deleteSession': deleteSession,
  'cwm.goBack': goBack,
  'cwm.setExpiry': setExpiry,
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
  'cwm.chooseServer': chooseServer,
  'cwm.startEngine': startEngine,
  'cwm.setApiKey': setApiKey,
  'cwm.chooseModel': chooseModel,
  'cwm.showLog': showLog,
  'cwm.openSettings': openSettings,
  'cwm.showActions': showActions,
  'cwm.refresh': refresh,
  'cwm.showMore': showMore,
  'cwm.showAllFolders': showAllFolders,
  'cwm.showThisFolder': showThisFolder,
};

/** Registers every command of `contributions.ts`. A missing handler does not compile. */
export function registerCommands(app: App): Disposable[] {
  return (Object.keys(handlers) as CommandId[]).map((id) => register(app, id));
}

function register(app: App, id: CommandId): Disposable {
  // The table of this id's fields checks that the input is what its handler takes.
  const run = handlers[id] as RunCommand<unknown, unknown>;
  return commands.registerCommand(id, async (given: unknown, selection: unknown): Promise<CommandResult<unknown>> => {
    const input = readFields(commandInput(given, selection), commandInputs[id]);
    if (input) return run(app, input);
    const error = new CwmError('InvalidParameter', `The command ${id} was called with invalid arguments.`, {
      hint: 'Correct the arguments in the keybinding or in the extension that calls the command.',
    });
    showFailure(app, id, error, null);
    return { kind: 'failed', error: error.report() };
  });
}

/** A menu of the explorer passes the clicked file and all selected files; everything else is an input already. */
function commandInput(given: unknown, selection: unknown): unknown {
  if (!(given instanceof Uri)) return given ?? {};
  const uris = Array.isArray(selection) ? selection.filter((one) => one instanceof Uri) : [];
  return { paths: (uris.length === 0 ? [given] : uris).map((uri) => uri.fsPath) };
}
