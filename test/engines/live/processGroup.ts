import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const pollMs = 20;
const windows = process.platform === 'win32';
const hasProc = process.platform === 'linux';

function signalQuietly(target: number, signal: NodeJS.Signals): void {
  try {
    process.kill(target, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/**
 * SIGKILL to a process group, as a crash would end it. Python's resource tracker is spared: it lives to see the others die, then
 * frees the shared memory and semaphores that they had registered with it, and ends. On Windows the process's tree is ended.
 */
export function crashGroup(groupId: number): void {
  if (windows) {
    spawnSync('taskkill', ['/pid', String(groupId), '/T', '/F']);
    return;
  }
  const trackers = hasProc ? members(groupId).filter(isResourceTracker) : [];
  if (trackers.length === 0) signalQuietly(-groupId, 'SIGKILL');
  else for (const pid of members(groupId).filter((pid) => !trackers.includes(pid))) signalQuietly(pid, 'SIGKILL');
}

/** Lets what is left of a group end by itself for `graceMs`, then sends SIGKILL, and waits as long again at most. */
export async function endGroup(groupId: number, graceMs: number): Promise<void> {
  if (windows || (await isGone(groupId, graceMs))) return;
  signalQuietly(-groupId, 'SIGKILL');
  await isGone(groupId, graceMs);
}

async function isGone(groupId: number, withinMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + withinMs;
  while (hasMembers(groupId)) {
    if (performance.now() >= deadlineMs) return false;
    await delay(pollMs);
  }
  return true;
}

function hasMembers(groupId: number): boolean {
  if (hasProc) return members(groupId).length > 0;
  try {
    process.kill(-groupId, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The living members: one that has ended and that nobody has reaped yet is none. */
function members(groupId: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      // "pid (name) state parent group …", where the name may hold anything.
      const stat = readProc(pid, 'stat');
      const [state, , group] = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
      return Number(group) === groupId && state !== 'Z';
    });
}

function isResourceTracker(pid: number): boolean {
  return readProc(pid, 'cmdline')?.includes('multiprocessing.resource_tracker') ?? false;
}

function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    // It ended between being listed and being looked at.
    return undefined;
  }
}
