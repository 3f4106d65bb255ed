import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { format } from 'node:util';
import { artifactPath } from './artifacts.ts';
import { openBrowser } from './browser.ts';
import { ensureChromium } from './chromium.ts';
import { startCodeServer } from './codeServer.ts';
import type { CodeServer } from './codeServer.ts';
import { HarnessError } from './harnessError.ts';
import { ensureCodeServer } from './installation.ts';
import { withoutNoise } from './logNoise.ts';
import { within } from './waitUntil.ts';
import { windowShown } from './windowShown.ts';
import { workbenchUrl } from './workbenchUrl.ts';

const CLOSE_LIMIT_MS = 10_000;

export interface BrowserSuite {
  readonly folder: string | undefined;
  readonly extensionDevelopmentPaths: readonly string[];
  readonly extensionTestsPath: string;
  readonly vsix: readonly string[];
  readonly userDataDir: string | undefined;
  readonly extensionsDir: string | undefined;
  /** A folder that keeps the browser's part of the profile for the next run. Default: nothing is kept. */
  readonly browserProfile: string | undefined;
  /** From the page's start to the suite's end. */
  readonly timeoutMs: number;
}

/**
 * Runs a suite in the extension host of a code-server, shown by a headless Chromium, and returns the exit code that VS Code reports
 * for it: 0, or 1 when `run()` rejected.
 * @throws {HarnessError} with log tails and a screenshot when the suite does not end in time or something below it ends first.
 */
export async function runInBrowser(suite: BrowserSuite): Promise<number> {
  const installation = await ensureCodeServer();
  const chromium = await ensureChromium();
  const { vsix, userDataDir, extensionsDir, browserProfile } = suite;
  const port = keptPort(browserProfile);
  const server = await startCodeServer({ installation, testDriver: true, vsix, userDataDir, extensionsDir, port });
  try {
    const browser = await openBrowser(chromium, browserProfile);
    try {
      if (browserProfile !== undefined) keepPort(browserProfile, server.origin);
      const page = await browser.newPage();
      const code = await runOnPage(page, server, suite);
      // As somebody closes a window: VS Code writes what it remembers.
      if (browserProfile !== undefined) await within(closed(page), CLOSE_LIMIT_MS);
      return code;
    } finally {
      await browser.close();
    }
  } finally {
    await server.stop();
  }
}

/** A browser keeps things by address, so that a profile has one. */
const portFile = (profile: string): string => path.join(profile, 'port');
const keptPort = (profile: string | undefined): number =>
  profile !== undefined && existsSync(portFile(profile)) ? Number(readFileSync(portFile(profile), 'utf8')) : 0;
const keepPort = (profile: string, origin: string): void => writeFileSync(portFile(profile), new URL(origin).port);

async function closed(page: Page): Promise<void> {
  page.on('dialog', (dialog) => void dialog.accept().catch(() => undefined));
  const gone = page.waitForEvent('close', { timeout: 0 });
  await page.close({ runBeforeUnload: true });
  await gone;
}

async function runOnPage(page: Page, server: CodeServer, suite: BrowserSuite): Promise<number> {
  const ended = Promise.withResolvers<number>();
  const log: string[] = [];
  // VS Code calls these two in a page that offers them.
  await page.exposeFunction('codeAutomationExit', (code: number) => ended.resolve(code));
  await page.exposeFunction('codeAutomationLog', (level: string, values: unknown[]) => {
    log.push(withoutNoise(`[${level}] ${format(...values)}`));
    log.splice(0, log.length - 60);
  });
  const fail = (reason: string): void => ended.reject(new HarnessError(reason));
  page.on('crash', () => fail('The page with the workbench crashed.'));
  page.on('close', () => fail('The page with the workbench was closed.'));
  void server.exited.then(() => fail('code-server ended while the suite ran.'));
  try {
    await page.goto(workbenchUrl(server.origin, suite), { timeout: 120_000 });
    const code = await within(ended.promise, suite.timeoutMs);
    if (code !== undefined) return code;
    throw new HarnessError(`The suite did not end within ${suite.timeoutMs / 1000} s.`);
  } catch (error) {
    const screenshot = artifactPath(`suite-${process.pid}.png`);
    const shown = await page.screenshot({ path: screenshot, timeout: 10_000 }).then(
      () => [`Screenshot: ${screenshot}`],
      () => [],
    );
    const tails = ['--- workbench log', withoutNoise(log.join('\n')), '--- code-server log', server.logTail()];
    const evidence = [...shown, ...tails, String(error), ...(await windowShown(page))];
    throw new HarnessError(String(error), evidence, { cause: error });
  }
}
