import { appendFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { JournalFile } from './journal.ts';

/** How a file is written where the store is encrypted. What was sealed part by part can be opened together. */
interface Sealing {
  seal(plain: Uint8Array): Uint8Array;
  /** `isOld`: it is not sealed. */
  open(raw: Uint8Array): { readonly plain: Buffer; readonly isOld: boolean };
}

/**
 * Lines of a file that can be made again at any time: nothing waits for an fsync, and half a line is skipped.
 *
 * @param isReadOnly another process writes the file: nothing is written.
 */
export function journalFile(path: string, sealing: Sealing, isReadOnly = false): JournalFile {
  const mode = 0o600;
  const sealed = (text: string): Uint8Array => sealing.seal(Buffer.from(text));
  const replace = async (lines: readonly string[]): Promise<void> => {
    const beside = `${path}.new`;
    await writeFile(beside, sealed(`${lines.join('\n')}\n`), { mode });
    await rename(beside, path);
  };
  const file: JournalFile = {
    async read() {
      try {
        const { plain, isOld } = sealing.open(await readFile(path));
        const lines = plain
          .toString('utf8')
          .split('\n')
          .filter((line) => line !== '');
        if (isOld && !isReadOnly) await replace(lines);
        return lines;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw error;
      }
    },
    async append(lines) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      // A line that a crash cut is no part of the next one.
      await appendFile(path, sealed(`\n${lines.join('\n')}\n`), { mode });
    },
    async setAside(lines) {
      await appendFile(`${path}.damaged`, sealed(`${lines.join('\n')}\n`), { mode });
    },
    replace,
  };
  const nothing = async (): Promise<void> => undefined;
  return isReadOnly ? { ...file, append: nothing, setAside: nothing, replace: nothing } : file;
}
