import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { HarnessError } from './harnessError.ts';
import { withInstallLock } from './installLock.ts';
import { runCommand } from './runCommand.ts';
import { onShutdown } from './shutdown.ts';

/** Pinned: running a suite needs an undocumented flag of VS Code's server, see workbenchUrl.ts. */
const CODE_SERVER_VERSION = '4.139.1';
/** Counts changes to the steps below, so that a folder made by older steps is not taken for a present one. */
const RECIPE = 1;
const MARKER = 'complete.json';
const INSTALL_TIMEOUT_MS = 600_000;

export interface InstallOptions {
  /** Receives a line for each step that takes a while. Default: stderr. */
  readonly log?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface CodeServerInstallation {
  /** The script to run with `nodePath`. */
  readonly entryPath: string;
  readonly nodePath: string;
  /** VS Code's version inside, such as `1.139.1`. */
  readonly vscodeVersion: string;
}

export const logToStderr = (line: string): void => void process.stderr.write(`${line}\n`);

/** Where installations live: the user's cache folder, shared by all checkouts. */
export function harnessCache(): string {
  const cache = process.env['XDG_CACHE_HOME'];
  const base = cache !== undefined && path.isAbsolute(cache) ? cache : path.join(os.homedir(), '.cache');
  return path.join(base, 'context-window-manager', 'vscode');
}

/**
 * Returns the pinned code-server, after installing it from the npm registry when it is not in the cache (about 10 to 20 s, 610 MB;
 * no compiler needed: its native modules come prebuilt or are not used). It runs on the Node that runs this process.
 * Two processes may call this at once. An interrupted installation is never taken for a complete one.
 * @throws {HarnessError} on Windows, on a Node older than 22.15, or when npm fails (with its output).
 */
export async function ensureCodeServer(options: InstallOptions = {}): Promise<CodeServerInstallation> {
  const log = options.log ?? logToStderr;
  assertSupported();
  const cache = harnessCache();
  const name = `code-server-${CODE_SERVER_VERSION}-${process.platform}-${process.arch}-r${RECIPE}`;
  const target = path.join(cache, name);
  const present = await readInstallation(target);
  if (present !== undefined) return present;

  await mkdir(cache, { recursive: true });
  const onWait = (): void => log('Another process is installing VS Code (code-server); waiting for it …');
  const lock = { timeoutMs: INSTALL_TIMEOUT_MS, signal: options.signal, onWait };
  return withInstallLock(path.join(cache, `${name}.lock`), lock, async () => {
    const meanwhile = await readInstallation(target);
    if (meanwhile !== undefined) return meanwhile;
    await removeLeftovers(cache, `${name}.staging-`);
    const staging = path.join(cache, `${name}.staging-${process.pid}`);
    const discard = async (): Promise<void> => rm(staging, { recursive: true, force: true, maxRetries: 5 });
    const withdraw = onShutdown('files', discard);
    try {
      await install(staging, log, options.signal);
      await publish(staging, target);
    } finally {
      await discard();
      withdraw();
    }
    const installed = await readInstallation(target);
    if (installed === undefined) throw new HarnessError(`Installed VS Code, yet ${target} is not usable.`);
    log(`VS Code ${installed.vscodeVersion} (code-server) is ready in ${target}`);
    return installed;
  });
}

function assertSupported(): void {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 22 || (major === 22 && minor < 15)) {
    throw new HarnessError(
      `code-server needs Node 22.15 or newer; this is ${process.version}. Run through an npm script.`,
    );
  }
  if (process.platform === 'win32') {
    throw new HarnessError(
      'code-server is not installed on Windows. Set CWM_VSCODE to an installed Code.exe, or to "desktop".',
    );
  }
}

async function readInstallation(root: string): Promise<CodeServerInstallation | undefined> {
  const entryPath = path.join(root, 'node_modules', 'code-server', 'out', 'node', 'entry.js');
  const marker = await readFile(path.join(root, MARKER), 'utf8').catch(() => undefined);
  const version = marker === undefined ? null : /"vscodeVersion":"([\d.]+)"/.exec(marker);
  if (version?.[1] === undefined || !existsSync(entryPath)) return undefined;
  return { entryPath, nodePath: process.execPath, vscodeVersion: version[1] };
}

async function install(root: string, log: (line: string) => void, signal: AbortSignal | undefined): Promise<void> {
  await mkdir(root, { recursive: true });
  await writeFile(path.join(root, 'package.json'), '{"private":true}\n');
  const server = path.join(root, 'node_modules', 'code-server');
  const vscode = path.join(server, 'lib', 'vscode');
  const environment = npmEnvironment();
  const npm = async (cwd: string, ...args: string[]): Promise<unknown> =>
    runCommand('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', ...args], {
      cwd,
      environment,
      timeoutMs: INSTALL_TIMEOUT_MS,
      signal,
    });
  log(`Installing VS Code (code-server ${CODE_SERVER_VERSION}, 610 MB on disk) from the npm registry …`);
  await npm(root, '--no-save', `code-server@${CODE_SERVER_VERSION}`);
  log("Installing VS Code's own packages …");
  await npm(vscode, '--omit=dev');
  await npm(path.join(vscode, 'extensions'), '--omit=dev');

  // What the two packages' install scripts would have done, less the compiling.
  const node = { environment, timeoutMs: 120_000, signal };
  await runCommand(process.execPath, ['postinstall.mjs'], { ...node, cwd: path.join(vscode, 'extensions') });
  const system = process.platform === 'darwin' ? 'darwin' : 'linux';
  await link(path.join(vscode, 'bin', 'remote-cli'), `code-${system}.sh`, 'code-server');
  await link(path.join(vscode, 'bin', 'helpers'), `browser-${system}.sh`, 'browser.sh');

  const config = ['--config', path.join(root, 'unused.yaml')];
  const said = await runCommand(
    process.execPath,
    [path.join(server, 'out/node/entry.js'), ...config, '--version'],
    node,
  );
  await rm(path.join(root, 'unused.yaml'), { force: true });
  const vscodeVersion = new RegExp(`^${CODE_SERVER_VERSION} .*with Code ([\\d.]+)`, 'm').exec(said)?.[1];
  if (vscodeVersion === undefined)
    throw new HarnessError('The installed code-server does not tell its version:', [said]);
  await writeFile(path.join(root, MARKER), JSON.stringify({ vscodeVersion, installedAt: new Date().toISOString() }));
}

async function link(folder: string, target: string, name: string): Promise<void> {
  await chmod(path.join(folder, target), 0o755);
  await rm(path.join(folder, name), { force: true });
  await symlink(target, path.join(folder, name));
}

async function publish(staging: string, target: string): Promise<void> {
  if ((await readInstallation(target)) !== undefined) return;
  await rm(target, { recursive: true, force: true, maxRetries: 5 });
  await rename(staging, target);
}

async function removeLeftovers(cache: string, prefix: string): Promise<void> {
  for (const name of await readdir(cache)) {
    if (name.startsWith(prefix)) await rm(path.join(cache, name), { recursive: true, force: true, maxRetries: 5 });
  }
}

/** npm's own `env node` must find this Node, and an outer `npm run` must not redirect the inner npm to its folder. */
function npmEnvironment(): NodeJS.ProcessEnv {
  const outer =
    /^npm_(package|lifecycle|command|execpath|node|config_(local_prefix|global_prefix|prefix|global|omit|production|dry_run|json|workspaces?)\b)/i;
  const kept = Object.entries(process.env).filter(([name]) => !outer.test(name) && name !== 'NODE_OPTIONS');
  return {
    ...Object.fromEntries(kept),
    PATH: `${path.dirname(process.execPath)}${path.delimiter}${process.env['PATH'] ?? ''}`,
  };
}
