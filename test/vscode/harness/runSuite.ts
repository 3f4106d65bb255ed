import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { bundleSuite } from './bundleSuite.ts';
import { startGuarded } from './guardedProcess.ts';
import { HarnessError } from './harnessError.ts';
import { logToStderr } from './installation.ts';
import type { SuiteLaunch } from './launchSuite.ts';
import { chooseSuiteHost, installIntoDesktop, launchArguments } from './suiteHost.ts';
import type { ProfileFolders, SuiteHost } from './suiteHost.ts';
import { eventLine, readEvents, summarize } from './suiteReport.ts';
import type { SuiteEvent, SuiteResult } from './suiteReport.ts';
import { holdWhileEnding } from './shutdown.ts';
import { mapStack } from './sourceMapping.ts';
import { createTempRoot, removeTempRoot } from './tempRoot.ts';
import { writeSettings } from './userSettings.ts';
import { waitUntil } from './waitUntil.ts';

export interface SuiteOptions {
  /** TypeScript files that define tests with `describe` and `it` from `mocha`. They run in this order, in one extension host. */
  readonly testFiles: readonly string[];
  /** Extensions to load from their folders. Those given as VSIX need no entry here. */
  readonly extensionDevelopmentPaths?: readonly string[];
  /** VSIX files to install first: what ships is what is tested. */
  readonly vsix?: readonly string[];
  /** The folder to open. Default: an empty one. */
  readonly folder?: string;
  /** A folder that keeps the profile for the next run over it, as when somebody opens VS Code again. Default: a fresh profile. */
  readonly profile?: string;
  /** User settings, over the quiet defaults of userSettings.ts. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Added to the environment that the extension host inherits. */
  readonly environment?: Readonly<Record<string, string>>;
  /** For the whole run, without installing VS Code. Default 600,000. */
  readonly timeoutMs?: number;
  /** For each test and hook that sets no time-out itself. Default 120,000. */
  readonly testTimeoutMs?: number;
  /** Receives progress and one line per test. Default: stderr. */
  readonly log?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Time for a VS Code to tell what hung, after its suite's time is up. */
const CLOSING_MS = 30_000;

/**
 * Runs mocha tests inside the extension host of a real VS Code, on a fresh profile where none is given, and returns what happened; red tests do not throw.
 * `CWM_VSCODE` chooses the VS Code, see suiteHost.ts. All paths may be relative to the working directory.
 * @throws {HarnessError} when the suite did not run to its end (with the reason and log tails) or holds no test; the signal's
 * reason on abort. Nothing is left running.
 */
export async function runSuite(options: SuiteOptions): Promise<SuiteResult> {
  const log = options.log ?? logToStderr;
  if (options.testFiles.length === 0) throw new HarnessError('runSuite() got no test files.');
  const host = await chooseSuiteHost({ log, signal: options.signal });
  const root = createTempRoot();
  try {
    const launch = await prepare(root, host, options);
    return await follow(root, launch, options, log);
  } finally {
    removeTempRoot(root);
  }
}

async function prepare(root: string, host: SuiteHost, options: SuiteOptions): Promise<SuiteLaunch> {
  const place = options.profile ?? root;
  const profile: ProfileFolders = {
    userDataDir: path.join(place, 'u'),
    extensionsDir: path.join(place, 'e'),
    ...(options.profile !== undefined && { browserProfile: path.join(place, 'b') }),
  };
  const emptyFolder = path.join(root, 'folder');
  const carrier = path.join(root, 'carrier');
  for (const folder of [profile.extensionsDir, profile.browserProfile ?? place, emptyFolder, carrier])
    await mkdir(folder, { recursive: true });
  await writeSettings(profile.userDataDir, options.settings);

  // VS Code runs a suite only beside an extension under development. One that comes as VSIX is none, so an empty one stands in.
  const manifest = { name: 'carrier', publisher: 'test', version: '0.0.0', engines: { vscode: '*' } };
  await writeFile(path.join(carrier, 'package.json'), JSON.stringify(manifest));
  const extensions = options.extensionDevelopmentPaths ?? [];

  const vsix = options.vsix ?? [];
  await installIntoDesktop(host, profile, vsix, options.signal);
  const extensionTestsPath = path.join(root, 'suite.js');
  await bundleSuite(options.testFiles, extensionTestsPath);
  return {
    vscodeExecutablePath: host.executablePath,
    extensionDevelopmentPath: extensions.length === 0 ? [carrier] : extensions.map((folder) => path.resolve(folder)),
    extensionTestsPath,
    launchArgs: [path.resolve(options.folder ?? emptyFolder), ...launchArguments(host, profile, vsix)],
  };
}

async function follow(
  root: string,
  launch: SuiteLaunch,
  options: SuiteOptions,
  log: (line: string) => void,
): Promise<SuiteResult> {
  const timeoutMs = options.timeoutMs ?? 600_000;
  const reportPath = path.join(root, 'report.jsonl');
  const script = path.join(import.meta.dirname, 'launchSuite.ts');
  const launcher = startGuarded(process.execPath, [script, JSON.stringify(launch)], {
    cwd: root,
    graceMs: 20_000,
    environment: {
      ...process.env,
      ...options.environment,
      CWM_SUITE_REPORT: reportPath,
      CWM_SUITE_TEST_TIMEOUT_MS: String(options.testTimeoutMs ?? 120_000),
      CWM_SUITE_TIMEOUT_MS: String(timeoutMs),
    },
  });
  let exitCode: number | null | undefined;
  void launcher.exited.then((end) => (exitCode = end.code));
  let events: SuiteEvent[] = [];
  const readNew = (): void => {
    const before = events.length;
    events = readEvents(reportPath);
    for (const event of events.slice(before)) {
      const line = eventLine(event);
      if (line !== undefined) log(line);
    }
  };
  const ended = (): true | undefined => {
    readNew();
    return exitCode === undefined ? undefined : true;
  };
  try {
    await waitUntil('the suite to end', ended, {
      timeoutMs: timeoutMs + CLOSING_MS,
      intervalMs: 200,
      signal: options.signal,
      evidence: () => [whereItStopped(events), launcher.tail()],
    });
  } finally {
    await launcher.stop();
    await holdWhileEnding();
  }
  readNew();
  return judge(events, exitCode, launcher.tail(), (stack) => mapStack(stack, launch.extensionTestsPath));
}

/** The report and the exit code must tell the same story; neither is believed alone. */
function judge(
  events: readonly SuiteEvent[],
  exitCode: number | null | undefined,
  tail: string,
  mapStack: (stack: string) => string,
): SuiteResult {
  const broken = events.find((event) => event.kind === 'broken');
  if (broken !== undefined)
    throw new HarnessError('The test files could not be loaded:', [mapStack(broken.stack || broken.message)]);
  if (!events.some((event) => event.kind === 'ended')) throw new HarnessError(whereItStopped(events), [tail]);
  const result = summarize(events, mapStack);
  if (result.passed + result.failed + result.skipped === 0) throw new HarnessError('The suite holds no test.');
  if ((exitCode === 0) !== (result.failed === 0)) {
    throw new HarnessError(`VS Code ended with ${exitCode}, which does not fit ${result.failed} failed tests.`, [tail]);
  }
  return result;
}

function whereItStopped(events: readonly SuiteEvent[]): string {
  const last = events.at(-1);
  if (last === undefined) return 'The suite never began.';
  return 'title' in last
    ? `The suite stopped at: ${last.title} (${last.kind})`
    : `The suite stopped while ${last.kind}.`;
}
