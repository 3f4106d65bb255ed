import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { isRunning, linuxStat } from '../../base/isRunning.ts';

/**
 * Names one process for ever, not only until its number is used again.
 *
 * `startTime` and `bootId` are null where the system does not tell them; then only the number and the host are compared.
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  /** Opaque; equal for equal processes. */
  readonly startTime: string | null;
  /** Linux only: changes with every start of the machine. */
  readonly bootId: string | null;
}

export type Liveness = 'alive' | 'dead' | 'elsewhere';

export function identifyProcess(pid: number): ProcessIdentity {
  return { pid, host: hostname(), startTime: startTimeOf(pid), bootId: readBootId() };
}

/** Whether that very process still runs. `elsewhere`: it is on another machine or container, so nobody here can tell. */
export function livenessOf(identity: ProcessIdentity): Liveness {
  if (identity.host !== hostname()) return 'elsewhere';
  if (identity.bootId !== null && identity.bootId !== readBootId()) return 'dead';
  if (!isRunning(identity.pid, readFileSync)) return 'dead';
  const startTime = startTimeOf(identity.pid);
  return identity.startTime === null || startTime === null || identity.startTime === startTime ? 'alive' : 'dead';
}

/** Whether the process is of this machine since its last start, as far as the system tells: in whichever container, it has the same clock. */
export const isOfThisBoot = ({ bootId }: ProcessIdentity): boolean => bootId !== null && bootId === readBootId();

function startTimeOf(pid: number): string | null {
  if (process.platform === 'linux') return linuxStartTime(pid);
  if (process.platform === 'win32') return null;
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', timeout: 5000 }).trim() || null;
  } catch {
    return null;
  }
}

/** Field 22: clock ticks from boot to the start of the process. */
const linuxStartTime = (pid: number): string | null => linuxStat(pid, readFileSync)?.[19] ?? null;

function readBootId(): string | null {
  return process.platform === 'linux' ? (readOrNull('/proc/sys/kernel/random/boot_id')?.trim() ?? null) : null;
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
