import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as z from 'zod/mini';
import { HarnessError } from './harnessError.ts';
import { startGuarded } from './guardedProcess.ts';
import type { CodeServerInstallation } from './installation.ts';
import { withoutNoise } from './logNoise.ts';
import { runCommand } from './runCommand.ts';
import { createTempRoot, removeTempRoot } from './tempRoot.ts';
import { writeSettings } from './userSettings.ts';
import { waitUntil } from './waitUntil.ts';

const manifestIdentity = z.object({ publisher: z.string(), name: z.string(), version: z.string() });

export interface CodeServerOptions {
  readonly installation: CodeServerInstallation;
  /** Merged over the quiet defaults of userSettings.ts. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** VSIX files to install before the start. */
  readonly vsix?: readonly string[];
  /** Unpacked extensions that are to count as installed: linked, not copied. */
  readonly extensionFolders?: readonly string[];
  /** Lets addresses of workbenchUrl.ts name development extensions and suites. VS Code shows no notifications then. Default false. */
  readonly testDriver?: boolean;
  /** Added to the environment of the server and so of the extension host; `undefined` removes a variable. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Where profile, extensions and logs go. Default: a fresh temporary folder, removed by `stop`. */
  readonly root?: string;
  /** Default: a folder below `root`. */
  readonly userDataDir?: string | undefined;
  /** Default: a folder below `root`. */
  readonly extensionsDir?: string | undefined;
  /** Whether VS Code asks which folders the user trusts: one that it does not know is restricted. Default: it trusts all. */
  readonly asksForTrust?: boolean;
  /** 0, the default, takes a free port. */
  readonly port?: number;
  /** Default 120,000. */
  readonly startTimeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface CodeServer {
  /** `http://127.0.0.1:PORT` */
  readonly origin: string;
  readonly root: string;
  /** The server's output, complete. */
  readonly logPath: string;
  readonly pid: number | undefined;
  /** Resolves when the server is gone, for whatever reason. */
  readonly exited: Promise<unknown>;
  /** The end of the server's output. */
  logTail(): string;
  /** Ends the server and everything that it or an extension started, then removes `root` if it was made here. */
  stop(): Promise<void>;
}

/**
 * Starts a code-server on loopback, without a password, on a fresh profile, and resolves once it answers.
 * @throws {HarnessError} with the log's tail when it does not start or a VSIX cannot be installed; the signal's reason on abort.
 * Nothing is left running or on disk then.
 */
export async function startCodeServer(options: CodeServerOptions): Promise<CodeServer> {
  const root = options.root ?? createTempRoot();
  const removeRoot = (): void => {
    if (options.root === undefined) removeTempRoot(root);
  };
  try {
    return await start(options, root, removeRoot);
  } catch (error) {
    removeRoot();
    throw error;
  }
}

async function start(options: CodeServerOptions, root: string, removeRoot: () => void): Promise<CodeServer> {
  const { installation, signal } = options;
  const startTimeoutMs = options.startTimeoutMs ?? 120_000;
  const userDataDir = options.userDataDir ?? path.join(root, 'u');
  const extensionsDir = options.extensionsDir ?? path.join(root, 'e');
  const config = path.join(root, 'config.yaml');
  const temporary = path.join(root, 't');
  await mkdir(temporary, { mode: 0o700, recursive: true });
  await mkdir(extensionsDir, { recursive: true });
  await writeFile(config, 'auth: none\n'); // with none given, one with a password is written in the user's home
  if (options.userDataDir === undefined) await writeSettings(userDataDir, options.settings);

  for (const folder of options.extensionFolders ?? []) await linkExtension(folder, extensionsDir);
  const environment = serverEnvironment(root, temporary, options.environment);
  const profile = ['--config', config, '--user-data-dir', userDataDir, '--extensions-dir', extensionsDir];
  const entry = [installation.entryPath, ...profile];
  for (const vsix of options.vsix ?? []) {
    const args = [...entry, '--install-extension', path.resolve(vsix), '--force'];
    await runCommand(installation.nodePath, args, { environment, timeoutMs: 120_000, signal });
  }

  const logPath = path.join(root, 'server.log');
  const args = ['--auth', 'none', '--bind-addr', `127.0.0.1:${options.port ?? 0}`, '--disable-telemetry'];
  args.push('--disable-update-check', '--disable-getting-started-override');
  if (options.asksForTrust !== true) args.push('--disable-workspace-trust');
  if (options.testDriver === true) args.push('--vscode-option', 'enable-smoke-test-driver');
  let said = '';
  const onOutput = (text: string): void => void (said = (said + text).slice(0, 10_000));
  const server = startGuarded(installation.nodePath, [...entry, ...args], { environment, logPath, onOutput });
  const logTail = (): string => withoutNoise(server.tail());
  let ended = false;
  const exited = server.exited.then(() => (ended = true));
  const stop = async (): Promise<void> => {
    await server.stop();
    removeRoot();
  };
  try {
    const probe = async (): Promise<string | undefined> => {
      if (ended) throw new HarnessError('code-server ended at its start.', [logTail()]);
      return answeringOrigin(said);
    };
    const wait = { timeoutMs: startTimeoutMs, signal, evidence: () => [logTail()] };
    const origin = await waitUntil('code-server to answer', probe, wait);
    return { origin, root, logPath, pid: server.pid, exited, logTail, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** VS Code takes over what it finds in an extensions folder that it opens for the first time. */
async function linkExtension(folder: string, extensionsDir: string): Promise<void> {
  const manifest = manifestIdentity.parse(JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8')));
  const name = `${manifest.publisher}.${manifest.name}-${manifest.version}`;
  await symlink(path.resolve(folder), path.join(extensionsDir, name), 'junction');
}

/** The server takes its port itself and prints it: no port can be stolen between choosing and binding. */
async function answeringOrigin(log: string): Promise<string | undefined> {
  const origin = /HTTP server listening on (http:\/\/127\.0\.0\.1:\d+)/.exec(log)?.[1];
  if (origin === undefined) return undefined;
  const response = await fetch(`${origin}/healthz`, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
  await response?.body?.cancel();
  return response?.ok === true ? origin : undefined;
}

/** Ours, less what an outer VS Code, debugger or npm left in it, with every folder of the user's home redirected to `root`. */
function serverEnvironment(
  root: string,
  temporary: string,
  added: CodeServerOptions['environment'],
): NodeJS.ProcessEnv {
  const foreign =
    /^(VSCODE_|ELECTRON_|CODE_SERVER_|npm_|PORT$|PASSWORD$|HASHED_PASSWORD$|GITHUB_TOKEN$|LOG_LEVEL$|NODE_OPTIONS$)/;
  const own = Object.entries(process.env).filter(([name]) => !foreign.test(name));
  const xdg = (name: string): string => path.join(root, 'xdg', name);
  return {
    ...Object.fromEntries(own),
    XDG_CONFIG_HOME: xdg('config'),
    XDG_DATA_HOME: xdg('data'),
    XDG_STATE_HOME: xdg('state'),
    XDG_RUNTIME_DIR: temporary, // VS Code's sockets would pile up outside
    TMPDIR: temporary, // as would what extensions leave there
    EXTENSIONS_GALLERY: '{}', // no marketplace: a test run asks nobody on the network
    ...added,
  };
}
