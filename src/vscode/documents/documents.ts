import {
  EventEmitter,
  type TextDocumentContentProvider,
  type Uri,
  ViewColumn,
  commands,
  window,
  workspace,
} from 'vscode';
import type { Disposable } from '../../base/disposable.ts';
import { toCwmError } from '../../protocol/errors.ts';
import { failureMessage } from '../render/failure.ts';
import { type DocumentKind, parseDocumentUri } from './documentUri.ts';

/** Makes the text of a document: when it opens, when it may have changed, and when VS Code restores its tab. */
export type DocumentText = (id: string) => Promise<string>;

/** The least time between two renderings of one document, so that a streamed answer does not flood the editor. */
const quietMs = 50;

/** Read-only documents. Each text is made when its document opens. */
export class Documents implements TextDocumentContentProvider, Disposable {
  readonly #texts: Readonly<Record<DocumentKind, DocumentText>>;
  readonly #changed = new EventEmitter<Uri>();
  readonly #timers = new Map<string, NodeJS.Timeout>();

  readonly onDidChange = this.#changed.event;

  constructor(texts: Readonly<Record<DocumentKind, DocumentText>>) {
    this.#texts = texts;
  }

  async provideTextDocumentContent(uri: Uri): Promise<string> {
    const target = parseDocumentUri(uri);
    if (target === null) return `There is no document ${uri.toString()}.`;
    try {
      return await this.#texts[target.kind](target.id);
    } catch (error) {
      return `${failureMessage('This cannot be shown', toCwmError(error), false).text}\n`;
    }
  }

  /** Renders the open documents of this kind and id again; with null those of every id. */
  refresh(kind: DocumentKind, id: string | null): void {
    for (const { uri } of workspace.textDocuments) {
      const target = parseDocumentUri(uri);
      if (target?.kind === kind && (id === null || target.id === id)) this.#refreshSoon(uri);
    }
  }

  /** Opens a document as text and gives it the focus. */
  async showText(uri: Uri): Promise<void> {
    await window.showTextDocument(uri, { preview: false });
  }

  /** Opens a document as text beside the active editor, which keeps the focus. A visible document stays where it is. */
  async showBeside(uri: Uri): Promise<void> {
    const shown = window.visibleTextEditors.find((editor) => editor.document.uri.toString() === uri.toString());
    const free = window.activeTextEditor === undefined ? ViewColumn.Active : ViewColumn.Beside;
    await window.showTextDocument(uri, {
      preview: false,
      preserveFocus: true,
      viewColumn: shown?.viewColumn ?? free,
    });
  }

  /** Opens markdown in VS Code's preview; as source when the preview is disabled. */
  async showRendered(uri: Uri): Promise<void> {
    this.#changed.fire(uri);
    try {
      await commands.executeCommand('markdown.showPreview', uri);
    } catch {
      await this.showText(uri);
    }
  }

  dispose(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#changed.dispose();
  }

  #refreshSoon(uri: Uri): void {
    const key = uri.toString();
    if (this.#timers.has(key)) return;
    const render = (): void => {
      this.#timers.delete(key);
      this.#changed.fire(uri);
    };
    this.#timers.set(key, setTimeout(render, quietMs));
  }
}
