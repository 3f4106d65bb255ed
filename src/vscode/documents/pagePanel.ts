import { Uri, type WebviewPanel } from 'vscode';
import { DisposableStore, type Disposable } from '../../base/disposable.ts';
import { inBackground } from '../../base/inBackground.ts';
import type { App } from '../app.ts';
import { LatestOnly } from '../following/latestOnly.ts';
import { pageHtml } from './pageHtml.ts';

/** Between two drawings, so that an answer does not flood the page. */
const quietMs = 60;

interface Page {
  /** Of its script and its style sheet in `dist`. */
  readonly name: string;
  readonly title: string;
  /** For the log, like "Showing memory". */
  readonly doing: string;
  readonly hear: (message: unknown) => void;
  readonly draw: () => Promise<void>;
}

/** A panel with a page of ours, which is drawn once for all that changes within a moment, and never twice at the same time. */
export class PagePanel implements Disposable {
  readonly #app: App;
  readonly #page: Page;
  readonly #store = new DisposableStore();
  readonly #jobs = new LatestOnly();
  #timer: NodeJS.Timeout | undefined;

  constructor(app: App, panel: WebviewPanel, page: Page) {
    this.#app = app;
    this.#page = page;
    const { webview } = panel;
    const folder = Uri.joinPath(app.context.extensionUri, 'dist');
    const file = (name: string): Uri => webview.asWebviewUri(Uri.joinPath(folder, name));
    webview.options = { enableScripts: true, localResourceRoots: [folder] };
    this.#store.add(webview.onDidReceiveMessage(page.hear));
    this.#store.add(panel.onDidChangeViewState(() => this.drawSoon()));
    webview.html = pageHtml(webview, file(`${page.name}.js`), file(`${page.name}.css`), page.title);
  }

  drawSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      inBackground(
        this.#app.log,
        this.#page.doing,
        this.#jobs.run('draw', () => this.#page.draw()),
      );
    }, quietMs);
  }

  dispose(): void {
    clearTimeout(this.#timer);
    this.#store.dispose();
  }
}
