import { chromium } from 'playwright-core';
import type { Page } from 'playwright-core';
import path from 'node:path';
import { onShutdown } from './shutdown.ts';
import { createTempRoot, removeTempRoot } from './tempRoot.ts';
import { within } from './waitUntil.ts';

const CLOSE_LIMIT_MS = 10_000;

export interface OpenBrowser {
  /** Opens a page, 1400 × 900, with storage of its own (as a fresh VS Code window) where the browser has no profile. */
  newPage(): Promise<Page>;
  close(): Promise<void>;
}

/**
 * Starts a headless Chromium that can reach loopback only. It ends with this process, whichever way that ends (it watches a pipe).
 * @param profile a folder that keeps what pages store, for the next browser over it. Default: nothing is kept.
 * @throws playwright's error with the browser's output when it does not start within 120 s.
 */
export async function openBrowser(executablePath: string, profile?: string): Promise<OpenBrowser> {
  const home = createTempRoot();
  const options = {
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
  };
  const size = { viewport: { width: 1400, height: 900 } };
  const opened =
    profile === undefined
      ? await chromium.launch(options)
      : await chromium.launchPersistentContext(profile, { ...options, ...size });
  const close = async (): Promise<void> => {
    withdraw();
    await within(opened.close(), CLOSE_LIMIT_MS);
    removeTempRoot(home);
  };
  const withdraw = onShutdown('processes', close);
  const newPage = async (): Promise<Page> =>
    ('newContext' in opened ? await opened.newContext(size) : opened).newPage();
  return { newPage, close };
}
