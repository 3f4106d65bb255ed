import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { absolutePath } from '../../client/absolutePath.ts';
import { readBackendRecord } from '../../client/backendRecord.ts';
import { makeStorageDirectory } from '../../client/storageDirectory.ts';
import { alreadyRunningExitCode, type BackendRecord } from '../../protocol/backendRecord.ts';
import { embeddedFlagNames, embeddedFlags } from '../../protocol/embeddedFlags.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { Perform } from '../action.ts';
import { amount, notEmpty, wholeNumber } from '../arguments.ts';
import { exitCodes } from '../failure.ts';
import { withCommonOptions, type Run } from '../run.ts';

interface ServeOptions {
  readonly idleMinutes: number;
  readonly rateLimit?: number;
  readonly kvBudgetGb?: number;
  readonly storageQuotaGb?: number;
  readonly stateFolder?: string;
  readonly stateSyncSeconds?: number;
}

const pollMs = 50;

export function registerServe(program: Command, perform: Perform): void {
  const command = withCommonOptions(program.command('serve'))
    .description('run the backend here until Ctrl-C; without this command it starts when it is needed')
    .option('--idle-minutes <n>', 'end after this long without a client; 0 is never', wholeNumber(0), 0)
    .option('--rate-limit <n>', 'changes that each client may ask for in a minute; 0 is no limit', wholeNumber(0))
    .option('--kv-budget-gb <n>', "gigabytes for the embedded model server's KV; 0 is no limit (default: 50)", amount)
    .option('--storage-quota-gb <n>', 'gigabytes for the whole storage; 0 is no limit (default: 100)', amount)
    .option(
      '--state-folder <dir>',
      'synchronise the states of selected sessions with this folder, merging changes',
      notEmpty,
    )
    .option('--state-sync-seconds <n>', 'seconds between synchronisations; 0 is never (default: 60)', wholeNumber(0));
  for (const name of embeddedFlagNames) {
    command.option(`--embedded-${name} <value>`, `embedded model server: ${embeddedFlags[name]}`, notEmpty);
  }
  command.action((options: ServeOptions) => perform(options, (run) => serve(run, options)));
}

/** How an option's value is found. */
const camelCase = (name: string): string => name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

async function serve(run: Run, options: ServeOptions): Promise<number> {
  makeStorageDirectory(run.storage);
  const { nodePath, entry } = run.backendStart;
  const args = [entry, '--storage', run.storage, ...(run.engine === undefined ? [] : ['--engine', run.engine])];
  for (const [flag, value] of [
    ['--idle-minutes', options.idleMinutes],
    ['--rate-limit', options.rateLimit],
    ['--kv-budget-gb', options.kvBudgetGb],
    ['--storage-quota-gb', options.storageQuotaGb],
    ['--state-folder', options.stateFolder && absolutePath(options.stateFolder, run.terminal.cwd)],
    ['--state-sync-seconds', options.stateSyncSeconds],
  ] as const) {
    if (value !== undefined) args.push(flag, String(value));
  }
  for (const name of embeddedFlagNames) {
    const value: unknown = Reflect.get(options, camelCase(`embedded-${name}`));
    if (typeof value === 'string') args.push(`--embedded-${name}`, value);
  }
  const child = spawn(nodePath, args, { stdio: ['ignore', 'ignore', 'inherit'], env: run.terminal.env });
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const ended = new AbortController();
  const onEnd = (): void => ended.abort();
  // A process that could not start is reported below.
  void exited.then(onEnd, onEnd);
  run.terminal.interrupted.addEventListener('abort', () => child.kill('SIGTERM'), { once: true });
  const record = await announced(run.storage, child.pid, ended.signal);
  if (record) {
    run.print({ storage: run.storage, ...record, token: undefined }, ({ storage, address }) =>
      [`The backend is running for ${storage}. Ctrl-C ends it.`, `  socket  ${address}`].join('\n'),
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
