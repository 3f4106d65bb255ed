import type { Page } from 'playwright-core';
import { within } from './waitUntil.ts';

const parts = {
  'rows of trees': '.pane-body [role="treeitem"]',
  tabs: '.tabs-container .tab',
  'status bar': '.part.statusbar .statusbar-item',
  notifications: '.notification-list-item-message',
  'modal dialog': '.monaco-dialog-box .dialog-message-text',
  'list or input box': '.quick-input-widget .quick-input-title, .quick-input-widget .quick-input-list .monaco-list-row',
  menu: '.monaco-menu [role="menuitem"]',
};

/**
 * What a window of VS Code shows, a line for each part that shows something: for the message of a failure, since of a log on another
 * machine often only the last lines are there, and no picture. Never throws; `[]` where the window does not answer in 10 s.
 */
export async function windowShown(page: Page): Promise<string[]> {
  const lines = Object.entries(parts).map(async ([name, selector]) => {
    const texts = await page.locator(selector).evaluateAll((elements) =>
      elements
        .filter((element) => element.checkVisibility())
        .map((element) => {
          const text = element.textContent.replaceAll(/\s+/gu, ' ').trim();
          return element.getAttribute('aria-selected') === 'true' ? `${text} (selected)` : text;
        }),
    );
    return texts.length === 0 ? [] : [`  ${name}: ${texts.join(' | ').slice(0, 1_000)}`];
  });
  const pages = page.frames().map(async (frame) => {
    const body = frame.locator('body');
    const isShown = frame !== page.mainFrame() && frame.childFrames().length === 0 && (await body.isVisible());
    if (!isShown) return [];
    const text = await body.innerText({ timeout: 2_000 });
    return [`  page: ${text.replaceAll(/\s+/gu, ' ').trim().slice(0, 300)}`];
  });
  const known = await within(Promise.allSettled([...lines, ...pages]), 10_000);
  const shown = known?.flatMap((part) => (part.status === 'fulfilled' ? part.value : [])) ?? [];
  return shown.length === 0 ? [] : ['The window shows:', ...shown];
}
