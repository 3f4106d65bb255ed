import { Range, TextEditorRevealType, window, workspace } from 'vscode';
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
  return store;
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
