import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { HarnessError } from './harnessError.ts';
import { withInstallLock } from './installLock.ts';
import { harnessCache, logToStderr } from './installation.ts';
import type { InstallOptions } from './installation.ts';
import { runCommand } from './runCommand.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const MAC_APPS = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];
const PACKAGES = ['chromium', 'fonts-dejavu-core'];
const INSTALL_TIMEOUT_MS = 600_000;

/**
 * Returns the path of a Chromium or Chrome that runs: $CHROMIUM, else the first found on PATH, else, on Debian as root, the one
 * that apt installs (about 30 s, 420 MB).
 * @throws {HarnessError} that says what to install when there is none and none can be installed.
 */
export async function ensureChromium(options: InstallOptions = {}): Promise<string> {
  const chosen = process.env['CHROMIUM'];
  if (chosen !== undefined && chosen !== '') {
    const failure = await whyNotRunning(chosen, options.signal);
    if (failure === undefined) return chosen;
    throw new HarnessError(`$CHROMIUM is set to ${chosen}, which does not run:`, [failure]);
  }
  const failures: string[] = [];
  const found = await findRunning(failures, options.signal);
  return found ?? installFromApt(failures, options);
}

async function findRunning(failures: string[], signal: AbortSignal | undefined): Promise<string | undefined> {
  for (const candidate of candidates()) {
    const failure = await whyNotRunning(candidate, signal);
    if (failure === undefined) return candidate;
    failures.push(failure);
  }
  return undefined;
}

function candidates(): string[] {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter).filter((folder) => folder !== '');
  const onPath = NAMES.flatMap((name) => folders.map((folder) => path.join(folder, name)));
  return [...onPath, ...(process.platform === 'darwin' ? MAC_APPS : [])].filter(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A file alone proves nothing: Ubuntu's `chromium-browser` is a stub that only asks for snap. */
async function whyNotRunning(file: string, signal: AbortSignal | undefined): Promise<string | undefined> {
  try {
    await runCommand(file, ['--version'], { timeoutMs: 30_000, signal });
    return undefined;
  } catch (error) {
    signal?.throwIfAborted();
    return String(error);
  }
}

async function installFromApt(failures: readonly string[], options: InstallOptions): Promise<string> {
  const log = options.log ?? logToStderr;
  const command = `apt-get update && apt-get install -y --no-install-recommends ${PACKAGES.join(' ')}`;
  if (!isDebian() || !existsSync('/usr/bin/apt-get') || process.getuid?.() !== 0) {
    const advice = isDebian()
      ? `As root: ${command}`
      : 'Install Chromium or Google Chrome, or set CHROMIUM to its path.';
    throw new HarnessError(`No Chromium found (looked for ${NAMES.join(', ')} on PATH). ${advice}`, failures);
  }
  const cache = harnessCache();
  await mkdir(cache, { recursive: true });
  const onWait = (): void => log('Another process is installing Chromium; waiting for it …');
  const lock = { timeoutMs: INSTALL_TIMEOUT_MS, signal: options.signal, onWait };
  return withInstallLock(path.join(cache, 'chromium.lock'), lock, async () => {
    const meanwhile = await findRunning([], options.signal);
    if (meanwhile !== undefined) return meanwhile;
    log(`Installing Chromium: ${command} …`);
    const apt = {
      environment: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      timeoutMs: INSTALL_TIMEOUT_MS,
      signal: options.signal,
    };
    // A source that does not answer must not hinder: the packages may well be known from another one.
    const updated = await runCommand('apt-get', ['update'], apt).catch((error: unknown) => String(error));
    options.signal?.throwIfAborted();
    const wait = ['-o', 'DPkg::Lock::Timeout=300'];
    try {
      await runCommand('apt-get', [...wait, 'install', '-y', '--no-install-recommends', ...PACKAGES], apt);
    } catch (error) {
      options.signal?.throwIfAborted();
      throw new HarnessError('apt-get could not install Chromium.', [updated, String(error)], { cause: error });
    }
    const installed = await findRunning([], options.signal);
    if (installed === undefined) throw new HarnessError('Chromium was installed and still does not run.', failures);
    return installed;
  });
}

/** Debian itself, not Ubuntu: there the package only asks for snap. */
function isDebian(): boolean {
  try {
    return /^ID="?debian"?$/m.test(readFileSync('/etc/os-release', 'utf8'));
  } catch {
    return false;
  }
}
