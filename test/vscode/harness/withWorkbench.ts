import { copyFile } from 'node:fs/promises';
import { artifactPath } from './artifacts.ts';
import { openBrowser } from './browser.ts';
import { ensureChromium } from './chromium.ts';
import { startCodeServer } from './codeServer.ts';
import type { CodeServer, CodeServerOptions } from './codeServer.ts';
import { HarnessError } from './harnessError.ts';
import { ensureCodeServer, logToStderr } from './installation.ts';
import { holdWhileEnding } from './shutdown.ts';
import { within } from './waitUntil.ts';
import { windowShown } from './windowShown.ts';
import { Workbench } from './workbench.ts';
import { workbenchUrl } from './workbenchUrl.ts';

export interface WorkbenchOptions extends Omit<CodeServerOptions, 'installation' | 'testDriver' | 'root'> {
  /** Names the evidence of a failure: `test-results/vscode/NAME.png` and `NAME.log`. */
  readonly name: string;
  /** The folder to open, an absolute path. Default: none. */
  readonly folder?: string;
  /** For `use` as a whole. Default 120,000. */
  readonly timeoutMs?: number;
  /** Receives progress. Default: stderr. */
  readonly log?: (line: string) => void;
}

/** What `use` has besides the first window. */
export interface RunningCode {
  readonly server: CodeServer;
  /** One more window, with browser storage of its own. Ends with the first. */
  readonly openWindow: (folder: string) => Promise<Workbench>;
}

/**
 * Opens a fresh VS Code in a headless browser with the given extensions, hands it to `use`, and ends everything afterwards.
 * @throws {HarnessError} with the cause, a screenshot's path and the server's log tail when `use` fails or takes too long.
 */
export async function withWorkbench<T>(
  options: WorkbenchOptions,
  use: (workbench: Workbench, running: RunningCode) => Promise<T>,
): Promise<T> {
  const install = { log: options.log ?? logToStderr, signal: options.signal };
  const installation = await ensureCodeServer(install);
  const chromium = await ensureChromium(install);
  const server = await startCodeServer({ ...options, installation });
  try {
    const browser = await openBrowser(chromium);
    try {
      const workbench = new Workbench(await browser.newPage());
      const openWindow = async (folder: string): Promise<Workbench> => {
        const another = new Workbench(await browser.newPage());
        await another.open(workbenchUrl(server.origin, { folder }));
        return another;
      };
      try {
        await workbench.open(workbenchUrl(server.origin, { folder: options.folder }));
        return await limited(options, () => use(workbench, { server, openWindow }));
      } catch (error) {
        await holdWhileEnding();
        throw await describeFailure(options.name, error, workbench, server);
      }
    } finally {
      await browser.close();
    }
  } finally {
    await server.stop();
  }
}

/** `use` cannot be stopped, but the window is closed under it, which makes its next step fail. */
async function limited<T>(options: WorkbenchOptions, use: () => Promise<T>): Promise<T> {
  const timeoutMs = options.timeoutMs ?? 120_000;
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(options.signal?.reason);
  options.signal?.addEventListener('abort', abort, { once: true });
  try {
    const using = use().then((value) => ({ value }));
    const done = await Promise.race([within(using, timeoutMs), aborted.promise]);
    if (done === undefined) throw new HarnessError(`Not done after ${timeoutMs / 1000} s.`);
    return done.value;
  } finally {
    options.signal?.removeEventListener('abort', abort);
  }
}

async function describeFailure(
  name: string,
  error: unknown,
  workbench: Workbench,
  server: CodeServer,
): Promise<HarnessError> {
  const screenshot = artifactPath(`${name}.png`);
  const log = artifactPath(`${name}.log`);
  const kept = await Promise.allSettled([
    workbench.screenshot(screenshot).then(() => `Screenshot: ${screenshot}`),
    copyFile(server.logPath, log).then(() => `Server log: ${log}, which ends with:\n${server.logTail()}`),
  ]);
  const evidence = kept.map((one) => (one.status === 'fulfilled' ? one.value : `(no evidence: ${String(one.reason)})`));
  const message = `${name}: ${error instanceof Error ? error.message : String(error)}`;
  // At the end, where it is also seen when only the last lines of a log are.
  const last = [message.split('\n', 1)[0] ?? '', ...(await windowShown(workbench.page))];
  return new HarnessError(message, [...evidence, ...last], { cause: error });
}
