import type { Frame, FrameLocator, Locator, Page } from 'playwright-core';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { QuickInput } from './quickInput.ts';
import { exactly } from './textMatch.ts';
import { TreeView } from './treeView.ts';
import { waitUntil } from './waitUntil.ts';

/** For a step of the user interface, on a busy machine. Work that takes longer passes its own limit. */
const STEP_TIMEOUT_MS = 90_000;
const START_TIMEOUT_MS = 120_000;

/**
 * VS Code's window as a user sees it. Texts may be given in part or as a pattern unless "whole" is said. Every method waits for
 * what it needs and throws, naming what it waited for, when that does not come.
 */
export class Workbench {
  readonly page: Page;
  readonly quickInput: QuickInput;

  constructor(page: Page) {
    this.page = page;
    this.quickInput = new QuickInput(page, STEP_TIMEOUT_MS);
    page.setDefaultTimeout(STEP_TIMEOUT_MS);
    // "Leave site?" on a reload; nobody could answer it.
    page.on('dialog', (dialog) => void dialog.accept().catch(() => undefined));
  }

  /** Opens the address and resolves when the window is drawn. Extensions may start seconds later: wait for what yours shows. */
  async open(url: string): Promise<void> {
    await this.page.goto(url, { timeout: START_TIMEOUT_MS });
    await this.#drawn();
  }

  /** Reloads the window: extensions are deactivated and start again, the extension host is a new process. */
  async reload(): Promise<void> {
    await this.page.reload({ timeout: START_TIMEOUT_MS });
    await this.#drawn();
  }

  async #drawn(): Promise<void> {
    await this.page
      .locator('.monaco-workbench .part.statusbar .statusbar-item')
      .first()
      .waitFor({ timeout: START_TIMEOUT_MS });
  }

  /** Runs a command of the palette by its whole title, `Category: Title`. */
  async runCommand(title: string): Promise<void> {
    await this.quickInput.runCommand(title);
  }

  /** Waits for a status bar item with this text and returns its whole text. */
  async statusBar(text: string | RegExp, timeoutMs = STEP_TIMEOUT_MS): Promise<string> {
    const item = this.#statusBarItem(text);
    await item.waitFor({ timeout: timeoutMs });
    return (await item.innerText()).trim();
  }

  async clickStatusBar(text: string | RegExp): Promise<void> {
    await this.#statusBarItem(text).click();
  }

  #statusBarItem(text: string | RegExp): Locator {
    return this.page.locator('.part.statusbar .statusbar-item', { hasText: text }).first();
  }

  /** Shows a view container of the activity bar, by its whole title. Does nothing when it is shown. */
  async openView(title: string): Promise<void> {
    // The label ends with a key binding or a badge: `Explorer (Ctrl+Shift+E)`, `Source Control - 3 pending changes`.
    const labels = [`="${title}"`, `^="${title} ("`, `^="${title} - "`].map((end) => `.action-label[aria-label${end}]`);
    const item = this.page.locator('.activitybar .action-item', { has: this.page.locator(labels.join(', ')) }).first();
    await item.waitFor();
    const shown = (await item.getAttribute('aria-expanded')) === 'true';
    if (!shown) await item.click();
    await item.and(this.page.locator('[aria-expanded="true"]')).waitFor();
  }

  /** The tree of the view with this whole title. */
  tree(viewTitle: string): TreeView {
    return new TreeView(this.page, STEP_TIMEOUT_MS, viewTitle);
  }

  /** Waits for a notification in the corner and returns its whole message. They fade after 10 to 15 s; three show at a time. */
  async notification(text: string | RegExp, timeoutMs = STEP_TIMEOUT_MS): Promise<string> {
    const message = this.#toast(text).locator('.notification-list-item-message');
    await message.waitFor({ timeout: timeoutMs });
    return (await message.innerText()).trim();
  }

  /** Presses a button of a notification, by its whole label, and waits for the notification to close. */
  async answerNotification(text: string | RegExp, button: string, timeoutMs = STEP_TIMEOUT_MS): Promise<void> {
    const toast = this.#toast(text);
    await toast.locator('.monaco-button', { hasText: exactly(button) }).click({ timeout: timeoutMs });
    await toast.waitFor({ state: 'hidden' });
  }

  /** Closes all notifications, so that a later wait cannot see an old one. */
  async clearNotifications(): Promise<void> {
    await this.runCommand('Notifications: Clear All Notifications');
    await this.page.locator('.notification-toast').waitFor({ state: 'hidden' });
  }

  #toast(text: string | RegExp): Locator {
    const message = this.page.locator('.notification-list-item-message', { hasText: text });
    return this.page.locator('.notification-toast', { has: message }).first();
  }

  /** Presses a button of a modal dialog, by its whole label, and waits for the dialog to close. */
  async answerDialog(text: string | RegExp, button: string, timeoutMs = STEP_TIMEOUT_MS): Promise<void> {
    const dialog = this.page.locator('.monaco-dialog-box', { hasText: text });
    await dialog.locator('.dialog-buttons .monaco-button', { hasText: exactly(button) }).click({ timeout: timeoutMs });
    await dialog.waitFor({ state: 'hidden' });
  }

  /** The content of the shown webview that has an element of this selector. */
  async webviewWith(selector: string, timeoutMs = STEP_TIMEOUT_MS): Promise<Frame> {
    const find = async (): Promise<Frame | undefined> => {
      for (const frame of this.page.frames()) {
        const isThere = await frame
          .locator(selector)
          .first()
          .isVisible()
          .catch(() => false);
        if (isThere && frame !== this.page.mainFrame()) return frame;
      }
      return undefined;
    };
    return waitUntil(`a webview with ${selector}`, find, { timeoutMs });
  }

  /** The content of the webview that is shown. With several, use `webviewWith`. */
  webview(): FrameLocator {
    return this.page.frameLocator('iframe.webview.ready').frameLocator('#active-frame');
  }

  /** The lines that the active editor shows. */
  async editorText(): Promise<string> {
    const lines = this.page.locator('.editor-group-container.active .monaco-editor .view-line');
    await lines.first().waitFor();
    const tops = await lines.evaluateAll((elements) =>
      elements.map((element) => ({ top: Number.parseFloat(element.style.top), text: element.textContent })),
    );
    // Monaco reuses line elements out of order, and writes spaces as no-break spaces.
    return tops
      .sort((a, b) => a.top - b.top)
      .map(({ text }) => text.replaceAll('\u00A0', ' '))
      .join('\n');
  }

  /** Writes a PNG of the whole window. */
  async screenshot(file: string): Promise<void> {
    await mkdir(path.dirname(file), { recursive: true });
    await this.page.screenshot({ path: file });
  }
}
