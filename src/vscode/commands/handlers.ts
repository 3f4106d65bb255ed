import type { CommandId, CommandInput, CommandOutput } from '../contributions.ts';
import { decryptStorage, encryptStorage } from './backend/encryption.ts';
import { chooseServer } from './backend/chooseServer.ts';
import { doctor, startEngine } from './backend/doctor.ts';
import { connectClient, disconnectClient } from './backend/connectClient.ts';
import { dontRecordClient, recordClient, revokeClient, rotateToken } from './backend/clients.ts';
import { startAtLogin } from './backend/startAtLogin.ts';
import { chooseModel } from './backend/chooseModel.ts';
import { setApiKey } from './backend/setApiKey.ts';
import { status } from './backend/status.ts';
import { emptyTrash, restoreFromTrash } from './backend/trash.ts';
import { usage } from './backend/usage.ts';
import { verify } from './backend/verify.ts';
import { openSettings } from './editor/openSettings.ts';
import {
  clearFilter,
  filterSessions,
  refresh,
  showAllFolders,
  showMore,
  showThisFolder,
} from './editor/sessionsTree.ts';
import { showActions } from './editor/showActions.ts';
import { showLog } from './editor/showLog.ts';
import { answerQuestion } from './sessions/answerQuestion.ts';
import { decideTools } from './sessions/decideTools.ts';
import { deleteSession } from './sessions/deleteSession.ts';
import { goBack } from './sessions/goBack.ts';
import { moveSession } from './editor/moveSession.ts';
import { newSession } from './sessions/newSession.ts';
import { prime, primeSelection } from './sessions/prime.ts';
import { search } from './sessions/search.ts';
import { send } from './sessions/send.ts';
import { showConversation, showMarkdown, showMemory } from './sessions/showConversation.ts';
import { stopAnswer } from './sessions/stopAnswer.ts';
import { acceptPlan, continueAnswer, editMessage, regenerate } from './sessions/anotherAnswer.ts';
import { branchPrompt, deleteBranch, mergeBranch, newBranch, renameBranch, rollBack } from './sessions/branches.ts';
import { compare } from './sessions/compare.ts';
import { switchBranch } from './sessions/switchBranch.ts';
import { sessionSettings } from './sessionSettings/sessionSettings.ts';
import { setExpiry } from './sessions/setExpiry.ts';
import { memories } from './sessionSettings/memories.ts';
import { systemPrompts } from './sessionSettings/systemPrompts.ts';
import { loadKv } from './windows/loadKv.ts';
import { switchSession } from './sessions/switchSession.ts';
import { adoptProject } from './projects/adoptProject.ts';
import { moveToBase } from './projects/moveToBase.ts';
import { projectBase } from './projects/projectBase.ts';
import { dontRecordProject, recordProject } from './projects/recordProject.ts';
import { trustFolder } from './sessions/trustFolder.ts';
import { exportConversation, importConversation } from './sessions/transfer.ts';
import { clone } from './windows/clone.ts';
import { deleteWindow } from './windows/deleteWindow.ts';
import { checkpoint, freeze } from './windows/freeze.ts';
import { listWindows } from './windows/listWindows.ts';
import { pinWindow, unpinWindow } from './windows/pinWindow.ts';
import { prune } from './windows/prune.ts';
import { resume } from './windows/resume.ts';
import { showReceipt } from './windows/showReceipt.ts';
import { thaw, thawCopy, thawWith } from './windows/thaw.ts';
import type { RunCommand } from './command.ts';

/** What each command does. A missing one does not compile. */
export const handlers: { readonly [Id in CommandId]: RunCommand<CommandInput<Id>, CommandOutput<Id>> } = {
  'cwm.newSession': newSession,
  'cwm.switchSession': switchSession,
  'cwm.loadKv': loadKv,
  'cwm.sessionSettings': sessionSettings,
  'cwm.systemPrompts': systemPrompts,
  'cwm.trustFolder': trustFolder,
  'cwm.recordProject': recordProject,
  'cwm.dontRecordProject': dontRecordProject,
  'cwm.projectBase': projectBase,
  'cwm.moveToBase': moveToBase,
  'cwm.adoptProject': adoptProject,
  'cwm.prime': prime,
  'cwm.primeSelection': primeSelection,
  'cwm.send': send,
  'cwm.editMessage': editMessage,
  'cwm.switchBranch': switchBranch,
  'cwm.newBranch': newBranch,
  'cwm.renameBranch': renameBranch,
  'cwm.deleteBranch': deleteBranch,
  'cwm.mergeBranch': mergeBranch,
  'cwm.branchPrompt': branchPrompt,
  'cwm.rollBack': rollBack,
  'cwm.compare': compare,
  'cwm.regenerate': regenerate,
  'cwm.continueAnswer': continueAnswer,
  'cwm.stopAnswer': stopAnswer,
  'cwm.decideTools': decideTools,
  'cwm.answerQuestion': answerQuestion,
  'cwm.acceptPlan': acceptPlan,
  'cwm.showConversation': showConversation,
  'cwm.showMarkdown': showMarkdown,
  'cwm.showMemory': showMemory,
  'cwm.memories': memories,
  'cwm.search': search,
  'cwm.importConversation': importConversation,
  'cwm.exportConversation': exportConversation,
  'cwm.freeze': freeze,
  'cwm.checkpoint': checkpoint,
  'cwm.resume': resume,
  'cwm.thaw': thaw,
  'cwm.thawCopy': thawCopy,
  'cwm.thawWith': thawWith,
  'cwm.clone': clone,
  'cwm.deleteWindow': deleteWindow,
  'cwm.moveSession': moveSession,
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
  'cwm.connectClient': connectClient,
  'cwm.disconnectClient': disconnectClient,
  'cwm.rotateToken': rotateToken,
  'cwm.recordClient': recordClient,
  'cwm.dontRecordClient': dontRecordClient,
  'cwm.revokeClient': revokeClient,
  'cwm.startAtLogin': startAtLogin,
  'cwm.chooseModel': chooseModel,
  'cwm.showLog': showLog,
  'cwm.openSettings': openSettings,
  'cwm.showActions': showActions,
  'cwm.refresh': refresh,
  'cwm.showMore': showMore,
  'cwm.filterSessions': filterSessions,
  'cwm.clearFilter': clearFilter,
  'cwm.showAllFolders': showAllFolders,
  'cwm.showThisFolder': showThisFolder,
};
