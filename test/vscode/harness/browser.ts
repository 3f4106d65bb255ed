import { chromium } from 'playwright-core';
import type { Browser, Page } from 'playwright-core';
import path from 'node:path';
import { onShutdown } from './shutdown.ts';
import { createTempRoot, removeTempRoot } from './tempRoot.ts';
import { within } from './waitUntil.ts';

const CLOSE_LIMIT_MS = 10_000;

export interface OpenBrowser {
  readonly browser: Browser;
  /** Opens a page with storage of its own (as a fresh VS Code window), 1400 × 900. */
  newPage(): Promise<Page>;
  close(): Promise<void>;
}

/**
 * Starts a headless Chromium that can reach loopback only. It ends with this process, whichever way that ends (it watches a pipe).
 * @throws playwright's error with the browser's output when it does not start within 120 s.
 */
export async function openBrowser(executablePath: string): Promise<OpenBrowser> {
  const home = createTempRoot();
  const browser = await chromium.launch({
    executablePath,
    timeout: 120_000,
    args: [
      '--disable-gpu',
      '--disable-quic',
      '--disable-sync',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
    ],
    // Chromium writes crash reports and caches in the user's folders otherwise.
    env: { ...process.env, XDG_CONFIG_HOME: path.join(home, 'config'), XDG_CACHE_HOME: path.join(home, 'cache') },
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
  });
  const close = async (): Promise<void> => {
    withdraw();
    await within(browser.close(), CLOSE_LIMIT_MS);
    removeTempRoot(home);
  };
  const withdraw = onShutdown('processes', close);
  const newPage = async (): Promise<Page> => {
    const context = await browser.newContext({ viewport: { width: 1400, height: 900 } });
    return context.newPage();
  };
  return { browser, newPage, close };
}
