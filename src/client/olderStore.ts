import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { takenOver, type TakenOver } from '../protocol/backendRecord.ts';
import { recordDirectories, storeMarkerFile } from '../protocol/storeMarks.ts';
import type { BackendStart } from './backendChild.ts';
import { askToLeave, readBackendRecord } from './backendRecord.ts';

/** `waiting`: it can be taken over. `both`: it cannot, because the shared place has records too. */
export type OlderStore = 'none' | 'waiting' | 'both';

/** Compares the place that an earlier version used with the place that all clients share now. Changes nothing. */
export async function findOlderStore(older: string, shared: string): Promise<OlderStore> {
  if (!(await hasRecords(older)) || (await pathOf(older)) === (await pathOf(shared))) return 'none';
  return (await hasRecords(shared)) ? 'both' : 'waiting';
}

/** Whether a store is there, with or without records. */
export const hasStore = (directory: string): Promise<boolean> =>
  access(join(directory, storeMarkerFile)).then(
    () => true,
    () => false,
  );

/**
 * Has a process of the backend's program move the older store to the shared place, or link to it. It is a process of its own, since it
 * needs the lock of both. A backend that works on an empty shared store is asked to end first.
 *
 * @returns `none` also when that process failed: both places are then as they were.
 */
export async function takeOverOlderStore(
  older: string,
  shared: string,
  { nodePath, entry, env }: BackendStart,
  signal: AbortSignal,
): Promise<TakenOver> {
  const running = (await hasStore(shared)) ? await readBackendRecord(shared) : null;
  if (running) await askToLeave(running, signal);
  const child = spawn(nodePath, [entry, '--storage', shared, '--take-over', older], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
    windowsHide: true,
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  try {
    await once(child, 'close', { signal });
  } catch {
    signal.throwIfAborted();
  }
  return takenOver.find((outcome) => outcome === said.trim()) ?? 'none';
}

async function hasRecords(directory: string): Promise<boolean> {
  if (!(await hasStore(directory))) return false;
  const counts = await Promise.all(
    recordDirectories.map((name) =>
      readdir(join(directory, name)).then(
        (names) => names.length,
        () => 0,
      ),
    ),
  );
  return counts.some((count) => count > 0);
}

const pathOf = (path: string): Promise<string> => realpath(path).catch(() => path);
