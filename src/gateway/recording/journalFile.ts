import { appendFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { JournalFile } from './journal.ts';

/** Lines of a file that can be made again at any time: nothing waits for an fsync, and half a line is skipped. */
export function journalFile(path: string): JournalFile {
  const mode = 0o600;
  return {
    async read() {
      try {
        return (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw error;
      }
    },
    async append(lines) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      // A line that a crash cut is no part of the next one.
      await appendFile(path, `\n${lines.join('\n')}\n`, { mode });
    },
    async setAside(lines) {
      await appendFile(`${path}.damaged`, `${lines.join('\n')}\n`, { mode });
    },
    async replace(lines) {
      const beside = `${path}.new`;
      await writeFile(beside, `${lines.join('\n')}\n`, { mode });
      await rename(beside, path);
    },
  };
}
