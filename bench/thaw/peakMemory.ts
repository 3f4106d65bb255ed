import { readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * How much memory processes take at most above what they had, during a task, with what lies in their memory files. Null where Linux's
 * /proc does not tell.
 */
export async function peakMemory<T>(
  pids: readonly number[],
  task: () => Promise<T>,
): Promise<{ readonly bytes: number | null; readonly result: T }> {
  let before: number;
  let files: readonly string[];
  try {
    for (const pid of pids) writeFileSync(`/proc/${pid}/clear_refs`, '5');
    before = sum(pids, 'VmHWM') - sum(pids, 'RssFile');
    files = memoryFiles(pids[0] ?? 0);
  } catch {
    return { bytes: null, result: await task() };
  }
  let inFiles = 0;
  const look = (): void =>
    void (inFiles = Math.max(
      inFiles,
      files.reduce((total, file) => total + statSync(file).blocks * 512, 0),
    ));
  const timer = setInterval(look, 5);
  try {
    const result = await task();
    return { bytes: Math.max(0, sum(pids, 'VmHWM') - sum(pids, 'RssFile') - before) + inFiles, result };
  } finally {
    clearInterval(timer);
  }
}

/** What a process has open of files in memory: in their folder, or in a file system of the engine's own. */
function memoryFiles(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .filter((path) => /^\/dev\/shm\/|\/cwm-state-\d/.test(readlinkSync(path)));
}

/** Milliseconds that the threads of these processes computed, so far; NaN where Linux's /proc does not tell. */
export function computedMs(pids: readonly number[]): number {
  try {
    return pids.reduce((total, pid) => {
      const folder = `/proc/${pid}/task`;
      const nanoseconds = readdirSync(folder).map((thread) =>
        Number(readFileSync(join(folder, thread, 'schedstat'), 'utf8').split(' ')[0]),
      );
      return total + nanoseconds.reduce((sumSoFar, each) => sumSoFar + each, 0) / 1e6;
    }, 0);
  } catch {
    return Number.NaN;
  }
}

const sum = (pids: readonly number[], field: string): number =>
  pids.reduce((total, pid) => total + kilobytes(readFileSync(`/proc/${pid}/status`, 'utf8'), field), 0);

const kilobytes = (text: string, field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? Number.NaN) * 1024;
