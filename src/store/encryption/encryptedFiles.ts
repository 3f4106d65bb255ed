import type { KeyObject } from 'node:crypto';
import { DurableWrites } from '../disk/durableWrites.ts';
import { hasCode, type Files } from '../disk/files.ts';
import { openFrames, sealFrame } from './frames.ts';

/**
 * {@link Files} whose contents are encrypted on the disk. Names, sizes and times are those of the encrypted files; positions in a file
 * are those of its plain text. A file that is not encrypted counts as damaged: another program put it there.
 *
 * @param temporaryDirectory on the same file system; files that a crash leaves there are of no use.
 */
export function encryptedFiles(inner: Files, key: KeyObject, temporaryDirectory: string): Files {
  const writes = new DurableWrites(inner, temporaryDirectory);
  /** Files whose end is known to be a whole frame. */
  const whole = new Set<string>();
  const moved = (path: string): void => {
    for (const known of whole) if (known === path || known.startsWith(`${path}/`)) whole.delete(known);
  };

  const read = async (path: string) => openFrames(key, Buffer.from(await inner.read(path)));

  /** Cuts off the part of a frame that a crash left. No caller was told that it was written. */
  const mendEnd = async (path: string): Promise<void> => {
    if (whole.has(path)) return;
    try {
      const raw = Buffer.from(await inner.read(path));
      const end = openFrames(key, raw).ends.at(-1)?.raw ?? 0;
      if (end < raw.length) await inner.truncate(path, end);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
    }
  };

  return {
    ...inner,
    read: async (path) => (await read(path)).plain,
    create: (path, bytes) => inner.create(path, bytes.length === 0 ? bytes : sealFrame(key, bytes)),
    async append(path, bytes) {
      await mendEnd(path);
      whole.delete(path);
      await inner.append(path, sealFrame(key, bytes));
      whole.add(path);
    },
    async truncate(path, sizeBytes) {
      const { plain, ends } = await read(path);
      const end = sizeBytes === 0 ? 0 : ends.find((one) => one.plain === sizeBytes)?.raw;
      whole.delete(path);
      if (end !== undefined) {
        await inner.truncate(path, end);
        return;
      }
      // The cut is inside a frame, as in a file that was encrypted with a torn last line: the rest of the frame is written again.
      await writes.replaceFile(path, sealFrame(key, plain.subarray(0, sizeBytes)));
    },
    rename(from, to) {
      moved(from);
      moved(to);
      return inner.rename(from, to);
    },
    remove(path) {
      moved(path);
      return inner.remove(path);
    },
    removeTree(path) {
      moved(path);
      return inner.removeTree(path);
    },
  };
}
