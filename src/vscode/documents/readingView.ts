import { commands, type WebviewPanel } from 'vscode';
import { DisposableStore, type Disposable } from '../../base/disposable.ts';
import { readFields } from '../../base/fields.ts';
import { formatCount, formatTokens } from '../../base/format.ts';
import { inBackground } from '../../base/inBackground.ts';
import { readableLine } from '../../base/readableText.ts';
import { isCwmError, toCwmError } from '../../protocol/errors.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import { sessionActivity, waitingSentence } from '../../words/session.ts';
import type { App } from '../app.ts';
import type { CommandId } from '../contributions.ts';
import type { Conversation } from './conversations.ts';
import { failureMessage } from '../render/failure.ts';
import { action, conversationItems, type SourceItem } from './conversationItems.ts';
import type { Block, PageItem, PageRequest, PageState, ToPage } from './pageMessages.ts';
import { PagePanel } from './pagePanel.ts';
import { lessThan, renderMarkdown } from './renderMarkdown.ts';

/** What a button of the page may run: the page shows texts from elsewhere, so that it is not trusted with more. */
const pageCommands = new Set<string>([
  'cwm.editMessage',
  'cwm.regenerate',
  'cwm.continueAnswer',
  'cwm.newBranch',
  'cwm.switchBranch',
  'cwm.rollBack',
  'cwm.decideTools',
  'cwm.answerQuestion',
  'cwm.acceptPlan',
  'cwm.stopAnswer',
  'cwm.showReceipt',
  'cwm.thaw',
  'cwm.resume',
  'cwm.compare',
  'cwm.freeze',
  'cwm.checkpoint',
  'cwm.sessionSettings',
] satisfies CommandId[]);

/** One conversation as a page: it follows its session until it is closed. */
export class ReadingView implements Disposable {
  readonly session: string;
  readonly panel: WebviewPanel;
  readonly #app: App;
  readonly #store = new DisposableStore();
  readonly #page: PagePanel;
  /** What the page has: items by key, as JSON. Null: its script has not started. */
  #sent: Map<string, string> | null = null;
  readonly #rendered = new Map<string, Block>();

  constructor(app: App, panel: WebviewPanel, session: string) {
    this.#app = app;
    this.panel = panel;
    this.session = session;
    this.#page = this.#store.add(
      new PagePanel(app, panel, {
        name: 'conversation',
        title: 'Conversation',
        doing: 'Showing a conversation',
        hear: (message) => this.#hear(message),
        draw: () => this.#draw(),
      }),
    );
    this.#store.add(app.conversations.onChange((changed) => changed === session && this.#page.drawSoon()));
    this.#store.add(
      app.state.render(['currentSession', 'sessions', 'windows', 'connection'], () => this.#page.drawSoon()),
    );
  }

  dispose(): void {
    this.#sent = null;
    this.#store.dispose();
  }

  async #draw(): Promise<void> {
    if (!this.#sent || !this.panel.visible) return;
    const state = await this.#state();
    // The page may have started again while its texts were rendered.
    if (!this.#sent) return;
    const { sent, changed } = this.#changes(state.items);
    this.#sent = sent;
    this.panel.title = state.title;
    await this.#post({ type: 'show', state: { ...state.page, order: [...sent.keys()], changed, lessThan } });
  }

  async #state(): Promise<{
    title: string;
    items: PageItem[];
    page: Omit<PageState, 'order' | 'changed' | 'lessThan'>;
  }> {
    const closed = { session: this.session, facts: '', actions: [], earlier: '', status: '', isBusy: false };
    try {
      const conversation = await this.#app.conversations.read(this.session);
      const session = this.#newest(conversation.session);
      const windows = this.#app.state.current.windows.get(this.session);
      if (!windows) inBackground(this.#app.log, 'Fetching windows', this.#app.puller.windows(this.session));
      const sources = conversationItems(conversation, session, windows?.kind === 'loaded' ? windows.items : []);
      const items = await Promise.all(sources.map((source) => this.#item(source)));
      const title = readableLine(session.title);
      return { title, items, page: { ...closed, title, ...headOf(conversation, session) } };
    } catch (error) {
      const failure = toCwmError(error);
      const empty = isCwmError(failure, 'SessionNotFound')
        ? 'This session was deleted.'
        : failureMessage('The conversation cannot be shown', failure, false).text;
      const title = this.panel.title;
      return { title, items: [], page: { ...closed, title, empty, closed: empty } };
    }
  }

  /** The list of sessions may have heard of a later change. */
  #newest(loaded: Session): Session {
    const { currentSession, sessions } = this.#app.state.current;
    const known = [
      ...(currentSession.kind === 'session' ? [currentSession.session] : []),
      ...(sessions.kind === 'loaded' ? sessions.items : []),
    ].find(({ id }) => id === loaded.id);
    return known && known.version >= loaded.version ? known : loaded;
  }

  async #item({ blocks, ...item }: SourceItem): Promise<PageItem> {
    return { ...item, blocks: await Promise.all(blocks.map((block) => this.#block(block, item.isGrowing))) };
  }

  async #block(block: SourceItem['blocks'][number], isGrowing: boolean): Promise<Block> {
    if (block.type !== 'markdown') return block;
    const known = this.#rendered.get(block.text);
    if (known) return known;
    const rendered = await renderMarkdown(block.text);
    if (!isGrowing) this.#rendered.set(block.text, rendered);
    return rendered;
  }

  #changes(items: readonly PageItem[]): { sent: Map<string, string>; changed: PageItem[] } {
    const sent = new Map<string, string>();
    const changed: PageItem[] = [];
    for (const item of items) {
      const form = JSON.stringify(item);
      if (this.#sent?.get(item.key) !== form) changed.push(item);
      sent.set(item.key, form);
    }
    return { sent, changed };
  }

  async #post(message: ToPage): Promise<void> {
    await this.panel.webview.postMessage(message);
  }

  #hear(message: unknown): void {
    const request: Partial<PageRequest> | null = readFields(message, {
      type: 'string',
      command: 'string?',
      message: 'string?',
      window: 'string?',
      call: 'string?',
      decision: 'string?',
      reason: 'string?',
      text: 'string?',
    }) as PageRequest | null;
    const { type, command = '', text, ...named } = request ?? {};
    switch (type) {
      case 'ready':
        this.#sent = new Map();
        return this.#page.drawSoon();
      case 'earlier':
        return this.#app.conversations.showEarlier(this.session);
      case 'send':
        return inBackground(this.#app.log, 'Sending a message', this.#send(text ?? ''));
      case 'run': {
        if (!pageCommands.has(command)) return;
        const input = { ...named, session: this.session, text };
        return inBackground(this.#app.log, command, commands.executeCommand(command, input));
      }
      case undefined:
    }
  }

  async #send(text: string): Promise<void> {
    this.#app.conversations.hold(this.session, text);
    const input = { session: this.session, text, inView: true };
    const result = await commands.executeCommand<{ readonly kind: string }>('cwm.send' satisfies CommandId, input);
    if (result.kind !== 'done' && this.#app.conversations.unsent(this.session) === text) {
      await this.#post({ type: 'unsent', text });
    }
  }
}

const phaseWords: Readonly<Partial<Record<Session['phase'], string>>> = {
  ProcessingUserMessage: 'Preparing the prompt…',
  AwaitingLLMResponse: 'Waiting for the model…',
  StreamingLLMResponse: 'The model answers…',
  ProcessingLLMResponse: 'Storing the answer…',
  AwaitingToolApproval: 'The model waits for you.',
  ExecutingTools: 'Tools run…',
  TransientFailure: 'The model server failed. Trying again…',
};

function headOf(
  { messages, earlier, inProgress }: Conversation,
  session: Session,
): Pick<PageState, 'facts' | 'actions' | 'earlier' | 'empty' | 'status' | 'isBusy' | 'closed'> {
  const { tokens, model, activeBranch, branches, lifecycle, phase, thawedFrom } = session;
  const limit = model?.maxModelLen ? ` of ${formatTokens(model.maxModelLen)}` : '';
  const count = Object.keys(branches).length;
  const facts = [
    tokens === null ? 'empty' : `${formatCount(tokens.count)}${limit === '' ? ' tokens' : limit}`,
    ...(count > 1 ? [`branch ${activeBranch}, one of ${formatCount(count)}`] : []),
    ...(lifecycle === 'active' ? [] : [sessionActivity(session)]),
    ...(thawedFrom ? [`from the window ${thawedFrom.window}: ${readableLine(thawedFrom.verdict)}`] : []),
    ...(model ? [readableLine(model.id)] : []),
  ];
  const takesTurns = lifecycle === 'active' || lifecycle === 'thawed';
  const actions: CommandId[] = takesTurns
    ? [...(count > 1 ? ['cwm.switchBranch' as const] : []), 'cwm.checkpoint', 'cwm.freeze', 'cwm.sessionSettings']
    : lifecycle === 'frozen'
      ? ['cwm.resume']
      : [];
  const waits = phase === 'AwaitingToolApproval';
  const status = phaseWords[phase] ?? (inProgress ? 'Sending…' : '');
  return {
    facts: facts.join(' · '),
    actions: actions.map(action),
    earlier: earlier === 0 ? '' : `Show Earlier Messages (${formatCount(earlier)})`,
    empty: messages.length === 0 && inProgress === null ? 'There are no messages yet.' : '',
    status,
    isBusy: status !== '',
    closed: takesTurns
      ? waits
        ? waitingSentence(session.pendingTools)
        : ''
      : `The session is ${sessionActivity(session)}.`,
  };
}
