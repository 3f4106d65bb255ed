/** `readFileSync` of `node:fs`. */
export type ReadText = (path: string, encoding: 'utf8') => string;

/**
 * Whether a process with this number runs, of any user. The system reuses numbers: see `ProcessIdentity` where that matters.
 *
 * A process that has ended and whose parent has not collected its status does not run: in a container whose first process never collects any,
 * it stays a zombie for ever, and a wait for its end would never return.
 */
export function isRunning(pid: number, read: ReadText): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: the process exists and belongs to another user.
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false;
  }
  return !isZombie(pid, read);
}

/** It has not ended while another thread is still inside a system call, which may be a write. Fields 3 and 20; false when the system does not tell. */
function isZombie(pid: number, read: ReadText): boolean {
  const stat = linuxStat(pid, read);
  return stat?.[0] === 'Z' && Number(stat[17]) <= 1;
}

/** `/proc/<pid>/stat` (proc(5)) from field 3 on; null when the system does not tell. */
export function linuxStat(pid: number, read: ReadText): string[] | null {
  if (process.platform !== 'linux') return null;
  try {
    const stat = read(`/proc/${pid}/stat`, 'utf8');
    // The name in field 2 may hold spaces and parentheses, so fields are counted from the last parenthesis.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}
