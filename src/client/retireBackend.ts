import { setTimeout as delay } from 'node:timers/promises';
import type { BackendRecord } from '../protocol/backendRecord.ts';
import { CwmError } from '../protocol/errors.ts';
import { answers, askToLeave, askToRetire } from './backendRecord.ts';

const pollMs = 100;
const defaultPatienceMs = 10 * 60_000;

/**
 * Makes a backend end without interrupting anything: it begins nothing new, and ends when its operations have ended. Its clients
 * continue with the next backend. Returns when the old one no longer answers.
 *
 * A backend from before it could retire is asked to end: it gives its operations five seconds.
 *
 * @throws CwmError BackendUnavailable when it works for longer than `patienceMs` (default 10 minutes), Cancelled when aborted.
 */
export async function retireBackend(
  record: BackendRecord,
  patienceMs: number = defaultPatienceMs,
  signal: AbortSignal,
): Promise<void> {
  if (!(await askToRetire(record, signal))) await askToLeave(record, signal);
  const deadlineMs = performance.now() + patienceMs;
  while (await answers(record, signal)) {
    if (performance.now() > deadlineMs) throw stillWorking(record, patienceMs);
    await delay(pollMs, undefined, { signal });
  }
}

const stillWorking = ({ version, pid }: BackendRecord, patienceMs: number): CwmError =>
  new CwmError(
    'BackendUnavailable',
    `An older backend (version ${version}, process ${pid}) has been working for another client for ${Math.round(patienceMs / 1000)} s.`,
    { hint: 'Wait until its answer is whole and try again, or end it with "cwm stop".' },
  );
