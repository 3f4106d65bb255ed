import { isRunning } from '../../../base/isRunning.ts';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { askToLeave, readBackendRecord, readLastEnd } from '../../../client/backendRecord.ts';
import { CwmError } from '../../../protocol/errors.ts';
import { unsavedSentences } from '../../../words/session.ts';
import type { Perform } from '../../action.ts';
import { withCommonOptions, type Run } from '../../run.ts';

const pollMs = 50;
const stopTimeoutMs = 30_000;

export function registerStop(program: Command, perform: Perform): void {
  withCommonOptions(program.command('stop'))
    .description('stop the backend, and the model server that it started')
    .action((common: object) => perform(common, stop));
}

async function stop(run: Run): Promise<void> {
  const record = await readBackendRecord(run.storage);
  const heard = record !== null && (await askToLeave(record, run.terminal.interrupted));
  if (!heard) {
    run.print({ stopped: false, pid: null }, () => `No backend is running for ${run.storage}.`);
    return;
  }
  const deadlineMs = performance.now() + stopTimeoutMs;
  while (isRunning(record.pid, readFileSync)) {
    run.terminal.interrupted.throwIfAborted();
    if (performance.now() > deadlineMs) {
      throw new CwmError(
        'OperationTimeout',
        `The backend (process ${record.pid}) did not stop within ${stopTimeoutMs / 1000} s.`,
      );
    }
    await delay(pollMs);
  }
  const end = await readLastEnd(run.storage, record);
  run.print({ stopped: true, pid: record.pid, ...(end && { unsaved: end.unsaved }) }, ({ pid }) =>
    [`The backend (process ${pid}) has stopped.`, ...(end ? unsavedSentences(end) : [])].join('\n'),
  );
}
