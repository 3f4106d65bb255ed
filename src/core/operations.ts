import type { CoreRouteName, ParsedInput, RouteInput, RouteOutput } from '../protocol/api.ts';
import { parseSessionId, type SessionId } from '../protocol/ids.ts';
import type { Session } from '../protocol/schemas/session.ts';
import type { CoreContext } from './context.ts';
import { silent, type Reporter } from './ports/reporter.ts';
import { setCurrentSession, currentSession } from './projects/currentSession.ts';
import { findProject, listClients, setWorkingDirectory, workingDirectory } from './projects/clients.ts';
import { listProjects } from './projects/knownProjects.ts';
import { requireOwnProject } from './projects/strictMode.ts';
import { noteUse } from './projects/noteUse.ts';
import { trustProject } from './projects/trustProject.ts';
import {
  autoFreezeCheck,
  autoFreezeConfig,
  autoFreezePolicy,
  closeProject,
  openedProject,
  openProject,
  recordProject,
} from './sessions/openProject.ts';
import { moveToBase } from './sessions/base/moveToBase.ts';
import { deleteProjectBase, makeProjectBase, projectBase } from './sessions/base/projectBase.ts';
import { refuseInBase } from './sessions/base/refuseInBase.ts';
import { setExpiry } from './sessions/expiry.ts';
import { adoptSessions, moveSession } from './sessions/moveSession.ts';
import { editMemory, forgetMemory, listMemories, remember } from './sessions/memory/notes.ts';
import { faultPage, memoryHistory, memoryPage, memoryState, pinPage, weighPage } from './sessions/memory/pages.ts';
import { deleteSession } from './sessions/deleteSession.ts';
import { changeSession, createSession, getSession, listSessions } from './sessions/sessions.ts';
import { getMessage, listMessages } from './sessions/messages.ts';
import { deletePrompt, listPrompts, putPrompt } from './turns/prompts.ts';
import { emptyTrash, listTrash, restoreFromTrash } from './space/trash.ts';
import { usage } from './space/usage.ts';
import {
  selectSession,
  selectedSessions,
  createRecoveryPoint,
  deselectSession,
  getState,
  listRecoveryPoints,
  restoreRecoveryPoint,
  syncState,
  updateState,
} from './tracker/operations.ts';
import { answerChunks } from './turns/answerChunks.ts';
import { compareBranches, createBranch, deleteBranch, listBranches, rollBack, updateBranch } from './turns/branches.ts';
import { answerQuestion, approveTools, cancelTurn, denyTools } from './turns/decideTools.ts';
import { checkContinue, continueAnswer } from './turns/continueAnswer.ts';
import { mergeBranch } from './turns/mergeBranch.ts';
import { checkPrime, prime } from './turns/prime.ts';
import { checkEdit, checkRegenerate, editMessage, regenerate } from './turns/resend.ts';
import { checkSend, send } from './turns/send.ts';
import { acceptPlan, checkAcceptance } from './sessions/acceptPlan.ts';
import { turnState } from './sessions/turnState.ts';
import { exportConversation, importConversation } from './sessions/transfer.ts';
import { searchMessages } from './sessions/searchMessages.ts';
import { searchPages } from './memory/search/searchPages.ts';
import { exportKv, importKv } from './sessions/windows/carriedKv.ts';
import { saveDisplaced } from './sessions/windows/saveDisplaced.ts';
import { thawAndSend } from './sessions/windows/thawAndSend.ts';
import { verify } from './windows/verify.ts';
import { clone } from './windows/clone.ts';
import { freezeComputed } from './sessions/windows/freezeComputed.ts';
import { pinWindow } from './windows/pinWindow.ts';
import { prune } from './windows/prune.ts';
import { resumeForMessage } from './windows/thaw/resumeFrozen.ts';
import { deleteWindow, getWindow, listWindows } from './windows/windows.ts';

interface Operation<Name extends CoreRouteName> {
  readonly run: (
    core: CoreContext,
    input: ParsedInput<Name>,
    signal: AbortSignal,
    reporter: Reporter,
  ) => Promise<RouteOutput<Name>>;
  /** It makes an engine write KV, so the KV budget is enforced after it, whether or not it succeeded. */
  readonly writesKv?: true;
  /** It is a message: a frozen session is resumed first, unless this refuses it as the operation itself would. */
  readonly resumes?: (
    core: CoreContext,
    session: Session,
    input: ParsedInput<Name>,
    signal: AbortSignal,
  ) => void | Promise<void>;
}

/** The operations of the core: one row for each of its routes. */
export const operations: { readonly [Name in CoreRouteName]: Operation<Name> } = {
  createSession: { run: createSession },
  listSessions: { run: listSessions },
  getSession: { run: getSession },
  updateSession: { run: changeSession },
  setExpiry: { run: setExpiry },
  moveSession: { run: moveSession },
  moveToBase: { run: moveToBase },
  deleteSession: { run: deleteSession },
  listMessages: { run: listMessages },
  getMessage: { run: getMessage },
  turnState: { run: turnState },
  answerChunks: { run: answerChunks },
  searchMessages: { run: searchMessages },
  searchPages: { run: searchPages },
  approveTools: { run: approveTools, writesKv: true },
  denyTools: { run: denyTools, writesKv: true },
  answerQuestion: { run: answerQuestion, writesKv: true },
  acceptPlan: { run: acceptPlan, writesKv: true, resumes: checkAcceptance },
  cancelTurn: { run: cancelTurn },
  importConversation: { run: importConversation },
  importKv: { run: importKv, writesKv: true },
  exportKv: { run: exportKv },
  exportConversation: { run: exportConversation },

  listPrompts: { run: listPrompts },
  putPrompt: { run: putPrompt },
  deletePrompt: { run: deletePrompt },

  listBranches: { run: listBranches },
  createBranch: { run: createBranch },
  updateBranch: { run: updateBranch },
  deleteBranch: { run: deleteBranch },
  compareBranches: { run: compareBranches },
  mergeBranch: { run: mergeBranch },
  rollBack: { run: rollBack },

  memoryState: { run: memoryState },
  memoryPage: { run: memoryPage },
  memoryHistory: { run: memoryHistory },
  pinPage: { run: pinPage },
  weighPage: { run: weighPage },
  faultPage: { run: faultPage, writesKv: true },
  listMemories: { run: listMemories },
  remember: { run: remember },
  editMemory: { run: editMemory },
  forgetMemory: { run: forgetMemory },

  editMessage: { run: editMessage, writesKv: true, resumes: checkEdit },
  regenerate: { run: regenerate, writesKv: true, resumes: checkRegenerate },
  continueAnswer: { run: continueAnswer, writesKv: true, resumes: checkContinue },
  send: { run: send, writesKv: true, resumes: checkSend },
  prime: { run: prime, writesKv: true, resumes: checkPrime },

  freeze: { run: freezeComputed, writesKv: true },
  thaw: { run: thawAndSend, writesKv: true },
  clone: { run: clone },
  listWindows: { run: listWindows },
  getWindow: { run: getWindow },
  deleteWindow: { run: deleteWindow },
  pinWindow: { run: pinWindow },

  usage: { run: usage },
  prune: { run: prune },
  listTrash: { run: listTrash },
  restoreFromTrash: { run: restoreFromTrash },
  emptyTrash: { run: emptyTrash },
  verify: { run: verify },

  getState: { run: getState },
  updateState: { run: updateState },
  listRecoveryPoints: { run: listRecoveryPoints },
  createRecoveryPoint: { run: createRecoveryPoint },
  restoreRecoveryPoint: { run: restoreRecoveryPoint },
  syncState: { run: syncState },
  selectedSessions: { run: selectedSessions },
  selectSession: { run: selectSession },
  deselectSession: { run: deselectSession },

  currentSession: { run: currentSession },
  setCurrentSession: { run: setCurrentSession },
  openProject: { run: openProject },
  openedProject: { run: openedProject },
  closeProject: { run: closeProject },
  autoFreezeConfig: { run: autoFreezeConfig },
  autoFreezePolicy: { run: autoFreezePolicy },
  autoFreezeCheck: { run: autoFreezeCheck },
  recordProject: { run: recordProject },
  trustProject: { run: trustProject },
  findProject: { run: findProject },
  listProjects: { run: listProjects },
  adoptProject: { run: adoptSessions },
  projectBase: { run: projectBase },
  makeProjectBase: { run: makeProjectBase, writesKv: true },
  deleteProjectBase: { run: deleteProjectBase },
  setWorkingDirectory: { run: setWorkingDirectory },
  workingDirectory: { run: workingDirectory },
  listClients: { run: listClients },
};

/**
 * An input without a required field may be left out. Without a signal the operation cannot be aborted; without a reporter the caller
 * sees only its result.
 */
type Arguments<Name extends CoreRouteName> =
  Record<string, never> extends RouteInput<Name>
    ? [input?: RouteInput<Name>, signal?: AbortSignal, reporter?: Reporter]
    : [input: RouteInput<Name>, signal?: AbortSignal, reporter?: Reporter];

/** The table's operations as methods. */
export type Operations = {
  readonly [Name in CoreRouteName]: (...given: Arguments<Name>) => Promise<RouteOutput<Name>>;
};

/**
 * @param onKvWritten runs after each operation that may have made an engine write KV, with the session that the operation names, and what it
 *   failed with; null: it succeeded.
 */
export function bindOperations(
  core: CoreContext,
  onKvWritten: (session: SessionId | undefined, route: CoreRouteName, failure: unknown) => void,
): Operations {
  const bound = Object.entries(operations).map(([name, operation]) => {
    const { run, writesKv, resumes } = operation as Operation<never>;
    const method = async (
      input: unknown = {},
      signal: AbortSignal = new AbortController().signal,
      reporter: Reporter = silent,
    ): Promise<unknown> => {
      let session = sessionNamed(input);
      let failure: unknown = null;
      const route = name as CoreRouteName;
      try {
        if (writesKv) await saveDisplaced(core, input as object, signal);
        // First of all: what works in the background must not delay a message by a single read.
        if (resumes) await core.background.giveWay(parseSessionId((input as { session: string }).session), signal);
        await requireOwnProject(core, route, input as object);
        if (resumes) await refuseInBase(core, input as { session: string });
        const resumed = resumes
          ? await resumeForMessage(
              core,
              {
                ...(input as { session: string }),
                check: async (session) => resumes(core, session, input as never, signal),
              },
              signal,
              reporter,
            )
          : null;
        if (resumes) await core.warmings.makeReady(parseSessionId((input as { session: string }).session), signal);
        const result = await run(core, input as never, signal, reporter);
        session ??= sessionNamed(result);
        await noteUse(core, route, input as object, result);
        return resumed ? withNote(result, `The session was frozen, and continues. ${resumed.summary}`) : result;
      } catch (error) {
        failure = error;
        throw error;
      } finally {
        if (writesKv) onKvWritten(session, name as CoreRouteName, failure);
      }
    };
    return [name, method];
  });
  return Object.fromEntries(bound) as Operations;
}

/** As the client wrote it, where it names one that is not there it is looked up in vain; else the one that the answer is about. */
const sessionNamed = (value: unknown): SessionId | undefined =>
  (value as { readonly session?: SessionId } | null)?.session;

const withNote = (result: { readonly notes?: readonly string[] }, note: string): object => ({
  ...result,
  notes: [note, ...(result.notes ?? [])],
});
