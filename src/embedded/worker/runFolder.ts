import { isRunning } from '../../base/isRunning.ts';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CwmError } from '../../protocol/errors.ts';

const prefix = 'run-';

/**
 * A folder for this process' passing files in the KV directory, `run-<pid>`, empty. Those of processes that are gone are
 * deleted: they hold token ids.
 *
 * @throws CwmError WriteFailed when the KV directory cannot be written.
 */
export function openRunFolder(kvDir: string): string {
  const folder = join(kvDir, `${prefix}${process.pid}`);
  try {
    mkdirSync(kvDir, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(kvDir)) {
      const pid = Number(name.startsWith(prefix) ? name.slice(prefix.length) : Number.NaN);
      if (Number.isInteger(pid) && (pid === process.pid || !isRunning(pid, readFileSync))) {
        rmSync(join(kvDir, name), { recursive: true, force: true });
      }
    }
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new CwmError('WriteFailed', `The folder for KV blocks, ${kvDir}, cannot be written.`, { cause });
  }
  return folder;
}
