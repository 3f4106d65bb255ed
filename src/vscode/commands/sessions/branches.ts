import { ThemeIcon, window } from 'vscode';
import { isCwmError } from '../../../protocol/errors.ts';
import { mergeWays } from '../../../protocol/settings/sessionChoices.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import { firstWords, readableLine } from '../../../base/readableText.ts';
import { speakers } from '../../../words/conversationText.ts';
import type { App } from '../../app.ts';
import { commandTitles } from '../../contributions.ts';
import { pickBranch } from '../../pick/pickBranch.ts';
import { pickMessageOf } from '../../pick/pickMessageOf.ts';
import { targetSession } from '../../pick/pickSession.ts';
import { showDone } from '../../ui/notifications.ts';
import { command } from '../command.ts';
import { pickPrompt } from '../sessionSettings/systemPrompts.ts';

type MergeWay = (typeof mergeWays)[number];

const mainBranch = 'main';

/** Makes a branch at a message and continues there. */
export const newBranch = command('cwm.newBranch', {
  async ask(app, { session: named, message, name }) {
    const session = await targetSession(app, named, 'Make a branch of this session');
    if (session === undefined) return undefined;
    const at =
      message ?? (await pickMessageOf(app, session, { prompt: 'Select the last message that the branch shares' }))?.id;
    return at === undefined ? undefined : { session: session.id, at, name };
  },
  perform: (app, request, call) => app.connection.call('createBranch', request, call),
  show: (app, { title, activeBranch }) => showDone(app, `"${title}" is on the new branch "${activeBranch}".`),
});

export const renameBranch = command('cwm.renameBranch', {
  async ask(app, input) {
    const found = await branchOf(app, input, 'cwm.renameBranch', ({ name }) => name !== mainBranch);
    if (!found) return undefined;
    const { session, branch } = found;
    const rename =
      input.name ??
      (await window.showInputBox({
        title: commandTitles['cwm.renameBranch'],
        prompt: `The new name of the branch "${readableLine(branch)}".`,
        value: branch,
        validateInput: (value) => (value.trim() === '' ? 'Enter a name.' : null),
      }));
    return rename === undefined ? undefined : { session: session.id, branch, rename };
  },
  perform: (app, request, call) => app.connection.call('updateBranch', request, call),
});

export const deleteBranch = command('cwm.deleteBranch', {
  async ask(app, input) {
    const found = await branchOf(app, input, 'cwm.deleteBranch', ({ name, active }) => name !== mainBranch && !active);
    if (!found) return undefined;
    const request = { session: found.session.id, branch: found.branch };
    if (input.confirmed) return request;
    const yes = 'Delete';
    const detail = 'Its messages stay in the session, because windows may need them.';
    const question = `Delete the branch "${readableLine(found.branch)}"?`;
    return (await window.showWarningMessage(question, { modal: true, detail }, yes)) === yes ? request : undefined;
  },
  perform: (app, request, call) => app.connection.call('deleteBranch', request, call),
});

/** Brings messages of another branch into the current one, as copies. */
export const mergeBranch = command('cwm.mergeBranch', {
  async ask(app, input) {
    const found = await branchOf(app, input, 'cwm.mergeBranch', ({ active }) => !active);
    if (!found) return undefined;
    const { session, branch } = found;
    const how = mergeWays.find((way) => way === input.how) ?? (await pickWay());
    if (how === undefined) return undefined;
    const messages = how === 'cherry-pick' ? (input.messages ?? (await pickMessages(app, session, branch))) : undefined;
    if (how === 'cherry-pick' && messages === undefined) return undefined;
    return { session: session.id, branch, how, ...(messages && { messages }) };
  },
  perform: (app, request, call) => app.connection.call('mergeBranch', request, call),
  show: (app, { title }, { branch }) => showDone(app, `Merged the branch "${branch}" into "${title}".`),
});

/** Gives a branch a system prompt of its own. A change that breaks the prefix is made only when the user agrees to what it costs. */
export const branchPrompt = command('cwm.branchPrompt', {
  async ask(app, input) {
    const found = await branchOf(app, input, 'cwm.branchPrompt', () => true);
    if (!found) return undefined;
    const none = { label: 'That of the session', id: '' };
    const chosen = input.systemPrompt ?? (await pickPrompt(app, [none]));
    if (chosen === undefined) return undefined;
    return { session: found.session.id, branch: found.branch, systemPrompt: chosen === '' ? null : chosen };
  },
  async perform(app, request, call) {
    try {
      return await app.connection.call('updateBranch', request, call);
    } catch (error) {
      if (!isCwmError(error, 'PrefixWouldBreak')) throw error;
      const yes = 'Change and Compute Again';
      const question = `Change the branch "${readableLine(request.branch)}"?`;
      const answer = await window.showWarningMessage(question, { modal: true, detail: error.message }, yes);
      if (answer !== yes) return app.connection.call('getSession', { session: request.session }, call);
      return app.connection.call('updateBranch', { ...request, breakPrefix: true }, call);
    }
  },
});

/** Lets the current branch end with an earlier message. A recovery point undoes it. */
export const rollBack = command('cwm.rollBack', {
  async ask(app, { session: named, message, confirmed }) {
    const session = await targetSession(app, named, 'Roll this session back to a message');
    if (session === undefined) return undefined;
    const to = message ?? (await pickMessageOf(app, session, { prompt: 'Select the message to end with' }))?.id;
    if (to === undefined) return undefined;
    const request = { session: session.id, message: to };
    if (confirmed) return request;
    const yes = 'Roll Back';
    const detail = `Later messages leave this branch. A recovery point is made before: "${commandTitles['cwm.goBack']}" undoes it.`;
    const question = `Let "${readableLine(session.title)}" end with this message?`;
    return (await window.showWarningMessage(question, { modal: true, detail }, yes)) === yes ? request : undefined;
  },
  perform: (app, request, call) => app.connection.call('rollBack', request, call),
});

/** The session and its branch that the input names, else those that the user picks. */
async function branchOf(
  app: App,
  input: { readonly session?: string | undefined; readonly branch?: string | undefined },
  command: Parameters<typeof pickBranch>[2],
  isOffered: NonNullable<Parameters<typeof pickBranch>[3]>,
): Promise<{ readonly session: Session; readonly branch: string } | undefined> {
  const session = await targetSession(
    app,
    input.session,
    `${commandTitles[command].replace('…', '')}: select a session`,
  );
  if (session === undefined) return undefined;
  const branch = input.branch ?? (await pickBranch(app, session, command, isOffered))?.branch;
  return branch === undefined ? undefined : { session, branch };
}

const ways: Readonly<Record<MergeWay, { readonly label: string; readonly detail: string }>> = {
  append: { label: 'Append', detail: "the other branch's own messages behind the current one's" },
  'cherry-pick': { label: 'Cherry-Pick…', detail: 'messages that you choose, behind the current ones' },
  rebase: { label: 'Rebase', detail: "the current branch's own messages behind all of the other's" },
};

const pickWay = async (): Promise<MergeWay | undefined> =>
  (
    await window.showQuickPick(
      mergeWays.map((way) => ({ ...ways[way], way })),
      { title: commandTitles['cwm.mergeBranch'], placeHolder: 'Select how to merge' },
    )
  )?.way;

async function pickMessages(app: App, { id }: Session, branch: string): Promise<string[] | undefined> {
  const compared = await app.connection.call('compareBranches', { session: id, branch });
  const side = compared.one.name === branch ? compared.one : compared.other;
  const upTo = side.messages.at(-1);
  if (upTo === undefined) return [];
  const own = new Set<string>(side.messages);
  const offset = Math.max(0, side.length - 100);
  const { items } = await app.connection.call('listMessages', { session: id, upTo, limit: 100, offset });
  const rows = items
    .filter((message) => own.has(message.id))
    .map((message) => ({
      label: 'text' in message.content ? firstWords(message.content.text) : 'Files',
      description: speakers[message.role],
      iconPath: new ThemeIcon('comment'),
      id: message.id,
    }));
  const chosen = await window.showQuickPick(rows, { canPickMany: true, placeHolder: 'Select messages to copy' });
  return chosen?.map((row) => row.id);
}
