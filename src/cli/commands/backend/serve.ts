import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { absolutePath } from '../../../client/absolutePath.ts';
import { readBackendRecord } from '../../../client/backendRecord.ts';
import { makeStorageDirectory } from '../../../client/storageDirectory.ts';
import { alreadyRunningExitCode, httpTokenFile, type BackendRecord } from '../../../protocol/backendRecord.ts';
import { embeddedFlagNames, embeddedFlags } from '../../../protocol/settings/embeddedFlags.ts';
import {
  backendFlags,
  backendSettings,
  readBackendSetting,
  type BackendSetting,
  type BackendSettingName,
} from '../../../protocol/settings/backendSettings.ts';
import { CwmError } from '../../../protocol/errors.ts';
import type { Perform } from '../../action.ts';
import { notEmpty } from '../../arguments.ts';
import { exitCodes } from '../../failure.ts';
import { withCommonOptions, type Run } from '../../run.ts';
import { serveHelp } from './serveHelp.ts';
import { loginChoices, serveAtLogin, type LoginChoice } from './serveAtLogin.ts';

/** By the name of each row of the table that has an option. */
type ServeOptions = Readonly<Partial<Record<BackendSettingName, string | number>>>;

const pollMs = 50;

export function registerServe(program: Command, perform: Perform): void {
  const command = withCommonOptions(program.command('serve')).description(
    'run the backend here until Ctrl-C; without this command it starts when it is needed',
  );
  for (const [name, what] of Object.entries(serveHelp))
    addOption(command, backendSettings[name as keyof typeof serveHelp], what);
  for (const name of embeddedFlagNames) {
    command.option(`--embedded-${name} <value>`, `embedded model server: ${embeddedFlags[name]}`, notEmpty);
  }
  command.addOption(
    new Option('--at-login <choice>', 'start it at each login, with these options: on, off, or show').choices(
      loginChoices,
    ),
  );
  command.action((options: ServeOptions & { readonly atLogin?: LoginChoice }) =>
    perform(options, async (run) => {
      const { atLogin, ...rest } = options;
      return atLogin === undefined ? await serve(run, rest) : await serveAtLogin(run, atLogin, argumentsOf(run, rest));
    }),
  );
}

const placeholders = { number: 'n', choice: 'word', text: 'text', path: 'dir' } as const;

function addOption(command: Command, row: BackendSetting, what: string): void {
  const { serveDefault } = row;
  const shown = serveDefault ?? row.default;
  const help = shown === null ? what : `${what} (default: ${shown})`;
  const parse = (written: string): string | number | null => {
    try {
      return readBackendSetting(row, written);
    } catch {
      throw new InvalidArgumentError(`It must be ${row.means}.`);
    }
  };
  command.option(`--${row.flag} <${placeholders[row.kind]}>`, help, parse);
}

/** How an option's value is found. */
const camelCase = (name: string): string => name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** Of the backend, behind its storage directory. */
function argumentsOf(run: Run, options: ServeOptions): string[] {
  const { idleMinutes = backendSettings.idleMinutes.serveDefault } = options;
  const absolute = (path: string | number | undefined): string | undefined =>
    path === undefined ? undefined : absolutePath(String(path), run.terminal.cwd);
  const given = {
    ...options,
    engine: run.engine,
    idleMinutes,
    stateFolder: absolute(options.stateFolder),
    httpTokenFile: absolute(options.httpTokenFile),
    memoryPolicyFile: absolute(options.memoryPolicyFile),
  };
  const args = backendFlags(given);
  for (const name of embeddedFlagNames) {
    const value: unknown = Reflect.get(options, camelCase(`embedded-${name}`));
    if (typeof value === 'string') args.push(`--embedded-${name}`, value);
  }
  return args;
}

async function serve(run: Run, options: ServeOptions): Promise<number> {
  makeStorageDirectory(run.storage);
  const { nodePath, entry } = run.backendStart;
  const args = [entry, '--storage', run.storage, ...argumentsOf(run, options)];
  const child = spawn(nodePath, args, { stdio: ['ignore', 'ignore', 'inherit'], env: run.terminal.env });
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const ended = new AbortController();
  const onEnd = (): void => ended.abort();
  // A process that could not start is reported below.
  void exited.then(onEnd, onEnd);
  run.terminal.interrupted.addEventListener('abort', () => child.kill('SIGTERM'), { once: true });
  const record = await announced(run.storage, child.pid, ended.signal);
  if (record) {
    const written = options.httpTokenFile;
    const named =
      (written && absolutePath(String(written), run.terminal.cwd)) ?? run.terminal.env['CWM_HTTP_TOKEN_FILE'];
    const tokenFile = record.http === undefined ? undefined : named || join(run.storage, httpTokenFile);
    run.print(
      { storage: run.storage, ...record, token: undefined, httpTokenFile: tokenFile },
      ({ storage, address, http }) =>
        [
          `The backend is running for ${storage}. Ctrl-C ends it.`,
          `  socket  ${address}`,
          ...(http === undefined ? [] : [`  http    ${http}`, `  token   in ${tokenFile}`]),
        ].join('\n'),
    );
  }
  const [code, signal] = await exited;
  if (code === alreadyRunningExitCode) {
    const holder = await readBackendRecord(run.storage);
    throw new CwmError(
      'BackendUnavailable',
      `A backend already runs for ${run.storage} (process ${holder?.pid ?? '?'}).`,
      {
        hint: 'Use that backend, or stop it with "cwm stop".',
      },
    );
  }
  if (code === 0) return exitCodes.ok;
  throw new CwmError('BackendUnavailable', `The backend ended with ${signal ?? `status ${code}`}.`);
}

/** Waits for the record of this process; null when the process ends without one. */
async function announced(storage: string, pid: number | undefined, ended: AbortSignal): Promise<BackendRecord | null> {
  while (!ended.aborted) {
    const record = await readBackendRecord(storage);
    if (record?.pid === pid) return record;
    await delay(pollMs);
  }
  return null;
}
