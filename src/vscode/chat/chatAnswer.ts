import { formatTokens } from '../../base/format.ts';
import type { CallOptions } from '../../client/backendClient.ts';
import type { RouteInput, RouteName, RouteOutput } from '../../protocol/api.ts';
import { CwmError, isCwmError } from '../../protocol/errors.ts';
import type { ProjectUri } from '../../protocol/ids.ts';
import type { Receipt } from '../../protocol/schemas/receipt.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import { capitalised, plural } from '../../words/amounts.ts';
import { healthWords } from '../../words/health.ts';
import { markdownFacts, markdownList, plain } from '../../words/markdown.ts';
import { receiptWords } from '../../words/receipt.ts';
import type { ChatCommand, CommandId } from '../contributions.ts';
import type { SessionOfChat } from './chatSessions.ts';

/** What the chat shows: text, buttons that run commands, and the window whose receipts it refers to. */
export interface ChatAnswer {
  readonly markdown: string;
  readonly buttons: readonly { readonly command: CommandId; readonly input: object }[];
  readonly window: string | null;
}

/** The session of the conversation in the chat. */
export interface ChatSession extends Omit<SessionOfChat, 'session'> {
  /** As it is now. */
  readonly session: Session;
}

/** What an answer needs of the editor. */
export interface ChatDesk {
  call<Name extends RouteName>(route: Name, input: RouteInput<Name>, options?: CallOptions): Promise<RouteOutput<Name>>;
  /**
   * Null: the conversation has none, or VS Code does not say.
   *
   * @throws CwmError SessionNotFound where it has one that is not stored: another session is not what is meant.
   */
  chatSession(): Promise<ChatSession | null>;
  /** The current session of the folder, as it is now; null: it has none. */
  currentSession(): Promise<Session | null>;
  /** That of the folder; null: none is open. */
  readonly project: ProjectUri | null;
  /** Remembers a receipt, so that the tree and the status bar show its verdict. */
  noteReceipt(receipt: Receipt): void;
  /** The same, and makes the session that was opened the current one of the folder. */
  noteOpened(receipt: Receipt): Promise<void>;
  newWindowName(session: Session): string;
}

/**
 * Answers what a person writes to `@window`.
 *
 * @param words what stands behind the command: names.
 * @throws CwmError NotInitialized where neither the chat nor the folder has a session, SessionNotFound where that of the chat is not stored,
 *   InvalidTransition where another chat went on with it, InvalidParameter for words that are missing, and what the
 *   backend answers.
 */
export function chatAnswer(desk: ChatDesk, command: ChatCommand | null, words: readonly string[]): Promise<ChatAnswer> {
  switch (command) {
    case 'freeze':
      return freeze(desk, words[0]);
    case 'thaw':
      return thaw(desk, words[0]);
    case 'clone':
      return clone(desk, words);
    case 'branch':
      return branch(desk, words[0]);
    case 'why':
      return why(desk, words[0]);
    case 'status':
    case null:
      return status(desk);
  }
}

async function freeze(desk: ChatDesk, name: string | undefined): Promise<ChatAnswer> {
  const { session, unstored } = await current(desk);
  const window = name ?? desk.newWindowName(session);
  const receipt = await desk.call('freeze', { session: session.id, engine: session.engine, window });
  desk.noteReceipt(receipt);
  return {
    markdown: `${receiptText(receipt)}\n\nThe window holds the session **${plain(session.title)}**${branchOf(session)}.${unstored}`,
    buttons: [
      { command: 'cwm.thaw', input: { window: receipt.window } },
      { command: 'cwm.resume', input: { session: session.id } },
    ],
    window: receipt.window,
  };
}

async function thaw(desk: ChatDesk, name: string | undefined): Promise<ChatAnswer> {
  const window = name ?? (await newestWindow(desk));
  const { summary } = await desk.call('getWindow', { window });
  const receipt = await desk.call('thaw', { window, engine: summary.engine });
  await desk.noteOpened(receipt);
  return {
    markdown: receiptText(receipt),
    buttons: [
      { command: 'cwm.showConversation', input: { session: receipt.session } },
      { command: 'cwm.showReceipt', input: { window } },
    ],
    window,
  };
}

async function clone(desk: ChatDesk, [first, second]: readonly string[]): Promise<ChatAnswer> {
  if (first === undefined) throw new CwmError('InvalidParameter', 'A clone needs a name.', { hint: cloneUsage });
  const [window, target] = second === undefined ? [await newestWindow(desk), first] : [first, second];
  const receipt = await desk.call('clone', { window, target });
  return {
    markdown: receiptText(receipt),
    buttons: [{ command: 'cwm.thaw', input: { window: receipt.window } }],
    window: receipt.window,
  };
}

const cloneUsage = 'Write "/clone NEW" for a clone of the newest window, or "/clone WINDOW NEW".';

async function branch(desk: ChatDesk, name: string | undefined): Promise<ChatAnswer> {
  const { session, unstored } = await current(desk);
  const after = await desk.call('createBranch', { session: session.id, name });
  const made = after.branches[after.activeBranch];
  return {
    markdown: `The session **${plain(session.title)}** is on branch **${plain(after.activeBranch)}** now. It shares ${plural(made?.length ?? 0, 'message')} with branch ${plain(session.activeBranch)}.${unstored}`,
    buttons: [
      { command: 'cwm.showConversation', input: { session: session.id } },
      { command: 'cwm.switchBranch', input: { session: session.id, branch: session.activeBranch } },
    ],
    window: null,
  };
}

async function why(desk: ChatDesk, name: string | undefined): Promise<ChatAnswer> {
  const window = name ?? (await newestWindow(desk));
  const { receipts } = await desk.call('getWindow', { window });
  const last = receipts.at(-1);
  if (last === undefined)
    return { markdown: `Nothing has been measured on window ${plain(window)} yet.`, buttons: [], window };
  return {
    markdown: `${receiptText(last)}\n\n**Evidence**\n\n${markdownFacts(receiptWords(last).evidence)}`,
    buttons: [{ command: 'cwm.showReceipt', input: { window } }],
    window,
  };
}

async function status(desk: ChatDesk): Promise<ChatAnswer> {
  const [ofChat, folders, health] = await Promise.all([
    desk.chatSession().catch((error: unknown) => {
      if (isCwmError(error, 'SessionNotFound')) return error;
      throw error;
    }),
    desk.currentSession(),
    desk.call('health', { probe: true }),
  ]);
  const missing = ofChat instanceof CwmError ? ofChat.message : null;
  const chats = ofChat instanceof CwmError ? null : ofChat;
  const session = missing === null ? (chats?.session ?? folders) : null;
  const { sentence, engines } = healthWords(health);
  const about =
    session === null
      ? (missing ?? 'This folder has no current session.')
      : `The session of this ${chats ? 'chat' : 'folder'} is **${plain(session.title)}** (${session.lifecycle}, branch ${plain(session.activeBranch)}, ${formatTokens(session.tokens?.count ?? 0)}).${chats?.isElsewhere ? ' Another chat continued it.' : ''}${unstoredOf(chats)}`;
  const servers = engines.map(({ spec, status: state }) => `${spec} ${state}`);
  return {
    markdown: [about, sentence, markdownList(servers)].filter((part) => part !== '').join('\n\n'),
    buttons:
      session === null
        ? [{ command: 'cwm.newSession', input: {} }]
        : [
            { command: 'cwm.showConversation', input: { session: session.id } },
            { command: 'cwm.freeze', input: { session: session.id } },
          ],
    window: null,
  };
}

/** With a sentence about what of it is not stored. */
async function current(desk: ChatDesk): Promise<{ readonly session: Session; readonly unstored: string }> {
  const ofChat = await desk.chatSession();
  if (ofChat?.isElsewhere)
    throw new CwmError('InvalidTransition', `Another chat continued the session "${ofChat.session.title}".`, {
      hint: 'Send a message in this chat first, so that the session is on its branch again, or name the session in the tree.',
    });
  const session = ofChat?.session ?? (await desk.currentSession());
  if (session) return { session, unstored: unstoredOf(ofChat) };
  throw new CwmError('NotInitialized', 'This folder has no current session.', {
    hint: 'Make one with New Session, choose one with Switch Session, or talk with a model of yours in this chat first.',
  });
}

const unstoredOf = (ofChat: ChatSession | null): string =>
  ofChat === null || ofChat.whyNot === null ? '' : ` Its last turns were not stored: ${plain(ofChat.whyNot)}`;

const branchOf = ({ branches, activeBranch }: Session): string =>
  Object.keys(branches).length > 1 ? ` on branch **${plain(activeBranch)}**` : '';

/** Of the chat's session, else of the folder's, else of the project: one of another project is not meant. */
async function newestWindow(desk: ChatDesk): Promise<string> {
  const sessions = [(await desk.chatSession())?.session, await desk.currentSession()];
  const places = [
    ...sessions.flatMap((session) => (session ? [{ session: session.id }] : [])),
    desk.project === null ? {} : { project: desk.project },
  ];
  for (const place of places) {
    const [newest] = (await desk.call('listWindows', { ...place, limit: 1 })).items;
    if (newest) return newest.name;
  }
  throw new CwmError('WindowNotFound', 'There is no window here yet.', {
    hint: 'Freeze a session first, or name a window.',
  });
}

function receiptText(receipt: Receipt): string {
  const { verdict, sentences, notes } = receiptWords(receipt);
  const heading = `**${plain(capitalised(receipt.operation))} of ${plain(receipt.window)}${verdict === null ? '' : `: ${plain(verdict)}`}**`;
  return [heading, ...sentences.map(plain), markdownList(notes)].filter((part) => part !== '').join('\n\n');
}
