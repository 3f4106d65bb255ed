import { downloadAndUnzipVSCode, resolveCliArgsFromVSCodeExecutablePath } from '@vscode/test-electron';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { ensureChromium } from './chromium.ts';
import { HarnessError } from './harnessError.ts';
import { ensureCodeServer, harnessCache } from './installation.ts';
import type { InstallOptions } from './installation.ts';
import { runCommand } from './runCommand.ts';

/** The VS Code that runs a suite. The shim takes a desktop VS Code's arguments, so that the launch is the same for both. */
export interface SuiteHost {
  readonly kind: 'shim' | 'desktop';
  readonly executablePath: string;
}

const SHIM = path.join(import.meta.dirname, 'codeShim.sh');

/**
 * Chooses the VS Code by `CWM_VSCODE` and makes sure it is there: `desktop` downloads the stable desktop build, a path is used as it
 * is, nothing means code-server with Chromium.
 * @throws {HarnessError} when it cannot be had, or needs a display and there is none.
 */
export async function chooseSuiteHost(options: InstallOptions): Promise<SuiteHost> {
  const choice = process.env['CWM_VSCODE'] ?? '';
  if (choice === '' || path.resolve(choice) === SHIM) {
    // Here rather than in the shim: what an installation takes must not count against the suite's time.
    await ensureCodeServer(options);
    await ensureChromium(options);
    return { kind: 'shim', executablePath: SHIM };
  }
  if (
    process.platform === 'linux' &&
    process.env['DISPLAY'] === undefined &&
    process.env['WAYLAND_DISPLAY'] === undefined
  ) {
    throw new HarnessError('A desktop VS Code needs a display: run under `xvfb-run -a`, or unset CWM_VSCODE.');
  }
  if (choice === 'desktop') return { kind: 'desktop', executablePath: await download() };
  if (!existsSync(choice)) throw new HarnessError(`CWM_VSCODE is neither "desktop" nor an existing file: ${choice}`);
  return { kind: 'desktop', executablePath: path.resolve(choice) };
}

async function download(): Promise<string> {
  try {
    return await downloadAndUnzipVSCode({ version: 'stable', cachePath: path.join(harnessCache(), 'desktop') });
  } catch (error) {
    const advice = 'Set CWM_VSCODE to an installed one, or unset it to use code-server.';
    throw new HarnessError(`The desktop VS Code could not be downloaded (${String(error)}). ${advice}`, [], {
      cause: error,
    });
  }
}

export interface ProfileFolders {
  readonly userDataDir: string;
  readonly extensionsDir: string;
  /** What code-server's window keeps in the browser; a desktop keeps it in `userDataDir`. Default: nothing is kept. */
  readonly browserProfile?: string;
}

/** Launch arguments that choose the profile and, where the executable can do it itself, install the extensions. */
export function launchArguments(host: SuiteHost, profile: ProfileFolders, vsix: readonly string[]): string[] {
  const { userDataDir, extensionsDir, browserProfile } = profile;
  const folders = [`--user-data-dir=${userDataDir}`, `--extensions-dir=${extensionsDir}`];
  if (host.kind === 'desktop') return folders;
  const kept = browserProfile === undefined ? [] : [`--browser-profile=${browserProfile}`];
  return [...folders, ...kept, ...vsix.map((file) => `--install-extension=${path.resolve(file)}`)];
}

/** Installs the extensions into a desktop VS Code's profile, by its command line; the shim does it at its start. */
export async function installIntoDesktop(
  host: SuiteHost,
  profile: ProfileFolders,
  vsix: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  if (host.kind === 'shim') return;
  const [cli = host.executablePath, ...cliArgs] = resolveCliArgsFromVSCodeExecutablePath(host.executablePath, {
    reuseMachineInstall: true, // that is: no profile of its choice, ours follows
  });
  const [command, first]: [string, string[]] =
    process.platform === 'win32' ? [process.env['ComSpec'] ?? 'cmd.exe', ['/d', '/c', cli]] : [cli, []];
  for (const file of vsix) {
    const args = [
      ...cliArgs,
      ...launchArguments(host, profile, []),
      '--install-extension',
      path.resolve(file),
      '--force',
    ];
    await runCommand(command, [...first, ...args], { timeoutMs: 120_000, signal });
  }
}
