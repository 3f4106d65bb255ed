import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { absolutePath } from '../../client/absolutePath.ts';
import { askToLeave, readBackendRecord } from '../../client/backendRecord.ts';
import { makeStorageDirectory } from '../../client/storageDirectory.ts';
import { alreadyRunningExitCode, type BackendRecord } from '../../protocol/backendRecord.ts';
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
const stopTimeoutMs = 30_000;

export function registerBackend(program: Command, perform: Perform): void {
  withCommonOptions(program.command('serve'))
    .description('run the backend here until Ctrl-C; otherwise it starts by itself when it is needed')
    .option('--idle-minutes <n>', 'end after so long without a client; 0 is never', wholeNumber(0), 0)
    .option('--rate-limit <n>', 'changes a minute that each client may ask for; 0 is no limit', wholeNumber(0))
    .option(
      '--kv-budget-gb <n>',
      "gigabytes that the embedded engine's KV may take; 0 is no limit (default: 50)",
      amount,
    )
    .option('--storage-quota-gb <n>', 'gigabytes that everything may take; 0 is no limit (default: 100)', amount)
    .option('--state-folder <dir>', 'synchronise the states of active sessions with this folder, merging', notEmpty)
    .option('--state-sync-seconds <n>', 'how often; 0 is never (default: 60)', wholeNumber(0))
    .action((options: ServeOptions) => perform(options, (run) => serve(run, options)));

  withCommonOptions(program.command('stop'))
    .description('end the backend, and the engine that it started')
    .action((common: object) => perform(common, stop));
}

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
  const child = spawn(nodePath, args, { stdio: ['ignore', 'ignore', 'inherit'], env: run.terminal.env });
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const ended = new AbortController();
  const onEnd = (): void => ended.abort();
  // A process that could not be started is told of below.
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
      `A backend is running for ${run.storage} already (process ${holder?.pid ?? '?'}).`,
      {
        hint: 'Use that one, or end it with "cwm stop".',
      },
    );
  }
  if (code === 0) return exitCodes.ok;
  throw new CwmError('BackendUnavailable', `The backend ended with ${signal ?? `status ${code}`}.`);
}

/** The record of the process with this id, as soon as it is there; null when that process ends before. */
async function announced(storage: string, pid: number | undefined, ended: AbortSignal): Promise<BackendRecord | null> {
  while (!ended.aborted) {
    const record = await readBackendRecord(storage);
    if (record?.pid === pid) return record;
    await delay(pollMs);
  }
  return null;
}

async function stop(run: Run): Promise<void> {
  const record = await readBackendRecord(run.storage);
  const heard = record !== null && (await askToLeave(record, run.terminal.interrupted));
  if (!heard) {
    run.print({ stopped: false, pid: null }, () => `No backend is running for ${run.storage}.`);
    return;
  }
  const deadlineMs = performance.now() + stopTimeoutMs;
  while (isRunning(record.pid)) {
    run.terminal.interrupted.throwIfAborted();
    if (performance.now() > deadlineMs) {
      throw new CwmError(
        'OperationTimeout',
        `The backend (process ${record.pid}) did not end within ${stopTimeoutMs / 1000} s.`,
      );
    }
    await delay(pollMs);
  }
  run.print({ stopped: true, pid: record.pid }, ({ pid }) => `The backend (process ${pid}) has ended.`);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
