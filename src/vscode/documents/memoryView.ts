import { type Disposable, ViewColumn, type WebviewPanel, commands, window } from 'vscode';
import { DisposableStore } from '../../base/disposable.ts';
import { readFields } from '../../base/fields.ts';
import { formatTokens } from '../../base/format.ts';
import { inBackground } from '../../base/inBackground.ts';
import { readableLine, readableText } from '../../base/readableText.ts';
import type { RouteOutput } from '../../protocol/api.ts';
import { isCwmError, toCwmError } from '../../protocol/errors.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { App } from '../app.ts';
import type { CommandId } from '../contributions.ts';
import { failureMessage } from '../render/failure.ts';
import type { MemoryRequest, ToMemoryPage } from './memoryMessages.ts';
import { historyLines, memoryPage } from './memoryPage.ts';
import { PagePanel } from './pagePanel.ts';
import { pagesFrom, readMemory, type MemoryPart } from './readMemory.ts';

/** The views that are open, by session. */
const open = new Map<string, WebviewPanel>();

/** Opens the memory of a session, or shows the view that it has. VS Code does not open it again after a restart. */
export function showMemoryView(app: App, session: Session): void {
  const known = open.get(session.id);
  if (known) return known.reveal();
  const panel = window.createWebviewPanel('cwm.memory', `Memory: ${readableLine(session.title)}`, ViewColumn.Active);
  open.set(session.id, panel);
  const view = new MemoryView(app, panel, session);
  panel.onDidDispose(() => {
    open.delete(session.id);
    view.dispose();
  });
}

/** What a session's next prompt has of its conversation: the view follows the session until it is closed. */
class MemoryView implements Disposable {
  readonly #app: App;
  readonly #panel: WebviewPanel;
  readonly #session: Session;
  readonly #store = new DisposableStore();
  readonly #page: PagePanel;
  #isReady = false;
  /** How many pages that left the prompt are listed. */
  #evicted = pagesFrom;

  constructor(app: App, panel: WebviewPanel, session: Session) {
    this.#app = app;
    this.#panel = panel;
    this.#session = session;
    this.#page = this.#store.add(
      new PagePanel(app, panel, {
        name: 'memory',
        title: 'Memory',
        doing: 'Showing memory',
        hear: (message) => this.#hear(message),
        draw: () => this.#draw(),
      }),
    );
    this.#store.add(
      app.connection.onChange((change) => {
        if (change.type === 'resync' || (change.type === 'session' && change.session === session.id))
          this.#page.drawSoon();
      }),
    );
  }

  dispose(): void {
    this.#isReady = false;
    this.#store.dispose();
  }

  async #draw(): Promise<void> {
    if (!this.#isReady || !this.#panel.visible) return;
    const state = await this.#state();
    if (this.#isReady) await this.#post({ type: 'show', state });
  }

  async #state(): Promise<Extract<ToMemoryPage, { readonly type: 'show' }>['state']> {
    const { id, title } = this.#session;
    try {
      const call = (page: MemoryPart): Promise<RouteOutput<'memoryState'>> =>
        this.#app.connection.call('memoryState', { session: id, ...page });
      return memoryPage(title, await readMemory(call, this.#evicted));
    } catch (error) {
      const failure = toCwmError(error);
      const empty = isCwmError(failure, 'SessionNotFound')
        ? 'This session was deleted.'
        : failureMessage('The memory cannot be shown', failure, false).text;
      return { title: this.#panel.title, facts: [], bar: [], lists: [], earlier: '', answers: [], reuse: '', empty };
    }
  }

  async #post(message: ToMemoryPage): Promise<void> {
    await this.#panel.webview.postMessage(message);
  }

  #hear(message: unknown): void {
    const request = readFields(message, { type: 'string', page: 'string?' });
    const { type, page = '' } = request ?? {};
    switch (type as MemoryRequest['type'] | undefined) {
      case 'ready':
        this.#isReady = true;
        return this.#page.drawSoon();
      case 'earlier':
        this.#evicted += pagesFrom;
        return this.#page.drawSoon();
      case 'read':
        return this.#do('Reading a page', () => this.#read(page));
      case 'pin':
        return this.#do('Pinning a page', () => this.#pin(page, true));
      case 'unpin':
        return this.#do('Unpinning a page', () => this.#pin(page, false));
      case 'fault':
        return this.#do('Bringing a page back', () => this.#fault(page));
      case 'memories':
        return this.#do('Showing memories', async () => {
          await commands.executeCommand('cwm.memories' satisfies CommandId, { session: this.#session.id });
        });
      case undefined:
    }
  }

  /** The page says why something could not be done. */
  #do(what: string, work: () => Promise<void>): void {
    const attempt = async (): Promise<void> => {
      try {
        await work();
      } catch (error) {
        const { text } = failureMessage(what, toCwmError(error), false);
        this.#app.log.error(text);
        await this.#post({ type: 'said', text });
      }
    };
    inBackground(this.#app.log, what, attempt());
  }

  async #read(page: string): Promise<void> {
    const named = { session: this.#session.id, page };
    const [{ text }, history] = await Promise.all([
      this.#app.connection.call('memoryPage', named),
      this.#app.connection.call('memoryHistory', named),
    ]);
    await this.#post({ type: 'text', page, text: readableText(text), history: historyLines(history) });
  }

  async #pin(page: string, pinned: boolean): Promise<void> {
    await this.#app.connection.call('pinPage', { session: this.#session.id, page, pinned });
    const text = pinned ? `Page ${page} stays whole in the prompt.` : `Page ${page} may leave the prompt.`;
    await this.#post({ type: 'said', text });
    this.#page.drawSoon();
  }

  async #fault(page: string): Promise<void> {
    const { id, engine } = this.#session;
    await this.#post({ type: 'said', text: `Bringing back page ${page}…` });
    const { promptTokens } = await this.#app.connection.call('faultPage', { session: id, page, engine });
    const text = `Page ${page} is in the prompt again, behind the last message. The prompt has ${formatTokens(promptTokens)}.`;
    await this.#post({ type: 'said', text });
    this.#page.drawSoon();
  }
}
