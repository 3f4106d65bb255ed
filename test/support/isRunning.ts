import { readFileSync } from 'node:fs';

/** Whether a process of this user runs. One that has ended and whose parent has not read its status does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  if (process.platform !== 'linux') return true;
  try {
    // "PID (NAME) STATE …"; the name may hold anything. In a container, process 1 may never read the status of what it inherits.
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return status[status.lastIndexOf(')') + 2] !== 'Z';
  } catch {
    return false;
  }
}
