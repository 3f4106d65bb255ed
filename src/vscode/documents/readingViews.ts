import { ViewColumn, type WebviewPanel, window } from 'vscode';
import type { Disposable } from '../../base/disposable.ts';
import { readFields } from '../../base/fields.ts';
import { readableLine } from '../../base/readableText.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import { conversationViewId } from '../contributions.ts';

/** Fills an empty panel with the conversation of a session. */
export type FillPanel = (panel: WebviewPanel, session: string) => void;

/** The conversations that are open to be read, one view for each session. */
export class ReadingViews {
  readonly #panels = new Map<string, WebviewPanel>();
  #fill: FillPanel = () => undefined;

  /** Opens the conversation, or shows the view that it has. */
  show({ id, title }: Session, { beside = false }: { readonly beside?: boolean } = {}): void {
    const open = this.#panels.get(id);
    if (open) return open.reveal(undefined, beside);
    const isFree = window.activeTextEditor === undefined && window.tabGroups.activeTabGroup.tabs.length === 0;
    const viewColumn = beside && !isFree ? ViewColumn.Beside : ViewColumn.Active;
    const panel = window.createWebviewPanel(conversationViewId, readableLine(title), {
      viewColumn,
      preserveFocus: beside,
    });
    this.#add(panel, id);
  }

  /** Whether the user sees the conversation. */
  isVisible(session: string): boolean {
    return this.#panels.get(session)?.visible ?? false;
  }

  /** VS Code opens the views again that were open when it was closed. */
  start(fill: FillPanel): Disposable {
    this.#fill = fill;
    return window.registerWebviewPanelSerializer(conversationViewId, {
      deserializeWebviewPanel: async (panel, state: unknown) => {
        const session = readFields(state, { session: 'string' })?.session;
        if (session === undefined || this.#panels.has(session)) panel.dispose();
        else this.#add(panel, session);
      },
    });
  }

  #add(panel: WebviewPanel, session: string): void {
    this.#panels.set(session, panel);
    panel.onDidDispose(() => this.#panels.delete(session));
    this.#fill(panel, session);
  }
}
