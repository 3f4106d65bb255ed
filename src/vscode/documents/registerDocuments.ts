import { Range, TextEditorRevealType, type WebviewPanel, window, workspace } from 'vscode';
import { inBackground } from '../../base/inBackground.ts';
import type { Disposable } from '../../base/disposable.ts';
import { DisposableStore } from '../../base/disposable.ts';
import type { App } from '../app.ts';
import { documentScheme } from '../contributions.ts';
import { parseDocumentUri } from './documentUri.ts';

/** Registers the read-only documents, and updates the open ones. */
export function registerDocuments(app: App): Disposable {
  const store = new DisposableStore();
  store.add(workspace.registerTextDocumentContentProvider(documentScheme, app.documents));
  store.add(app.conversations.onChange((session) => app.documents.refresh('conversation', session)));
  store.add(
    app.connection.onChange((change) => {
      if (change.type === 'window') app.documents.refresh('receipts', change.window);
      else if (change.type === 'resync') app.documents.refresh('receipts', null);
    }),
  );
  store.add(followConversations());
  store.add(
    app.readings.start((panel, session) => inBackground(app.log, 'Showing a conversation', fill(app, panel, session))),
  );
  return store;
}

/** The view is loaded with the first conversation that is shown. */
async function fill(app: App, panel: WebviewPanel, session: string): Promise<void> {
  let isClosed = false;
  panel.onDidDispose(() => (isClosed = true));
  const { ReadingView } = await import('./readingView.ts');
  if (isClosed) return;
  const view = new ReadingView(app, panel, session);
  panel.onDidDispose(() => view.dispose());
}

/** A reader within so many lines of the end follows it. */
const nearEndLines = 5;

/** Scrolls with an answer while it arrives, unless the reader has scrolled away from the end. */
function followConversations(): Disposable {
  return workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
    if (parseDocumentUri(document.uri)?.kind !== 'conversation') return;
    const added = contentChanges.reduce((lines, { text }) => lines + text.split('\n').length - 1, 0);
    const end = document.lineCount - 1;
    for (const editor of window.visibleTextEditors) {
      if (editor.document !== document) continue;
      const lastSeen = editor.visibleRanges.at(-1)?.end.line ?? 0;
      if (lastSeen + added + nearEndLines < end) continue;
      editor.revealRange(new Range(end, 0, end, 0), TextEditorRevealType.Default);
    }
  });
}
