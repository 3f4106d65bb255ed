import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { onShutdown } from './shutdown.ts';

/** The folders in use, each with what withdraws its clean-up on a signal. */
const roots = new Map<string, () => void>();
const remove = (root: string): void => rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
process.once('exit', () => {
  for (const root of roots.keys()) remove(root);
});

/**
 * Makes an empty folder for one run. It is removed by `removeTempRoot`, or when this process ends (not on SIGKILL).
 * The name is short on purpose: VS Code puts Unix sockets below it, and their paths may hold about 100 bytes.
 */
export function createTempRoot(): string {
  const root = mkdtempSync(path.join(os.tmpdir(), 'cwm-vs-'));
  roots.set(
    root,
    onShutdown('files', () => remove(root)),
  );
  return root;
}

/** Removes a folder of `createTempRoot` with everything in it. */
export function removeTempRoot(root: string): void {
  remove(root);
  roots.get(root)?.();
  roots.delete(root);
}
