import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';

/** Longest that the engine's start waits. */
const mostMs = 1000;

/**
 * Files in memory whose pages are large, without a name: to write and read them takes a quarter of the time of /dev/shm, whose pages are of 4 KiB
 * on most systems. They lie in a file system of their own, which a process makes in namespaces that it alone is in, with no rights that the
 * user does not have; it ends at once, and the file system with the last process that has a file open.
 *
 * @returns null where that cannot be: on other systems, without `unshare` and `mount` (util-linux), where users may make no namespaces, as in most
 *   containers, and where the kernel has no large pages.
 */
export function openLargeMemoryFiles(count: number): Promise<readonly number[] | null> {
  if (process.platform !== 'linux') return Promise.resolve(null);
  return new Promise((resolve) => {
    const child = begun(count);
    if (!child) {
      resolve(null);
      return;
    }
    child.stdin.on('error', () => undefined);
    child.once('error', () => resolve(null));
    child.once('exit', () => resolve(null));
    child.stdout.once('data', () => {
      resolve(child.pid === undefined ? null : openedBy(child.pid, count));
      child.stdin.end();
    });
  });
}

/** Null where the system makes no process or no pipes for it now: it has too little memory, or too many files are open. */
function begun(count: number): ChildProcessByStdio<Writable, Readable, null> | null {
  try {
    const child = spawn('unshare', ['--user', '--map-root-user', '--mount', 'sh', '-c', scriptFor(count)], {
      stdio: ['pipe', 'pipe', 'ignore'],
      // Nothing of what the engine knows.
      env: { PATH: process.env.PATH },
      timeout: mostMs,
      killSignal: 'SIGKILL',
    });
    child.on('error', () => undefined);
    // The types promise pipes; a process that could not be made has none.
    return (child.stdin as Writable | null) && child;
  } catch {
    return null;
  }
}

/** The number of the first file in that process. */
const first = 3;

/** Opens the files, says so, and waits until its parent has them or is gone. */
function scriptFor(count: number): string {
  const names = Array.from({ length: count }, (_, at) => `cwm-state-${at}`);
  const opening = names.map((name, at) => `${first + at}<>${name}`).join(' ');
  const steps = [
    'umask 077',
    'mount -t tmpfs -o huge=within_size,mode=0700 cwm /tmp',
    'cd /tmp',
    `exec ${opening}`,
    `rm ${names.join(' ')}`,
    'echo ready',
    'read -r _',
  ];
  return steps.join(' && ');
}

function openedBy(pid: number, count: number): readonly number[] | null {
  const files: number[] = [];
  try {
    for (let at = 0; at < count; at++) files.push(openSync(`/proc/${pid}/fd/${first + at}`, constants.O_RDWR));
    return files;
  } catch {
    for (const file of files) closeSync(file);
    return null;
  }
}
