import { readFileSync, writeFileSync } from 'node:fs';

/**
 * How much memory processes take at most above what they had, during a task, with what lies in memory files of the whole machine. Null
 * where Linux's /proc does not tell.
 */
export async function peakMemory<T>(
  pids: readonly number[],
  task: () => Promise<T>,
): Promise<{ readonly bytes: number | null; readonly result: T }> {
  let before: number;
  try {
    for (const pid of pids) writeFileSync(`/proc/${pid}/clear_refs`, '5');
    before = sum(pids, 'VmHWM') - sum(pids, 'RssFile');
  } catch {
    return { bytes: null, result: await task() };
  }
  const sharedBefore = sharedBytes();
  let shared = 0;
  const timer = setInterval(() => (shared = Math.max(shared, sharedBytes() - sharedBefore)), 5);
  try {
    const result = await task();
    return { bytes: Math.max(0, sum(pids, 'VmHWM') - sum(pids, 'RssFile') - before) + shared, result };
  } finally {
    clearInterval(timer);
  }
}

const sum = (pids: readonly number[], field: string): number =>
  pids.reduce((total, pid) => total + kilobytes(readFileSync(`/proc/${pid}/status`, 'utf8'), field), 0);

const sharedBytes = (): number => kilobytes(readFileSync('/proc/meminfo', 'utf8'), 'Shmem');

const kilobytes = (text: string, field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? Number.NaN) * 1024;
