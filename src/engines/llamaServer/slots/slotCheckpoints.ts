import { constants } from 'node:fs';
import { open, unlink, type FileHandle } from 'node:fs/promises';

/*
 * A model with a sliding window or a recurrent state can only go back to a place of which llama-server has a checkpoint. It has up to 32 of them for a
 * slot, one or two more with each request, and appends all of them to the slot's file: `SCKP`, a version and a count of 4 bytes each, then for
 * each checkpoint, the oldest first, the number of tokens before it (8 bytes), two positions (4 bytes each), and three blobs, each behind its length
 * (8 bytes). With a small model they are ten times as large as the context itself, and a server reads a file with fewer of them as well.
 */

const mark = Buffer.from('SCKP');
const headBytes = 12;
const knownVersion = 1;
const entryHeadBytes = 16;
const blobs = 3;
/** More than any server has: what looks like more is no list of checkpoints. */
const mostCheckpoints = 10_000;
const chunkBytes = 4 * 1024 * 1024;
/**
 * How many times as far from the end of the context as a checkpoint that stays the next older one may be. A client that puts things behind the
 * history (aider) goes back a few hundred tokens with each turn: computing twice as many is the most that it loses, and reading one more
 * checkpoint takes as long as computing one or two tokens.
 */
const spread = 2;

/** A checkpoint in the file, in bytes from its beginning. */
interface Entry {
  readonly tokens: number;
  readonly from: number;
  readonly to: number;
}

interface Appendix {
  readonly from: number;
  readonly entries: readonly Entry[];
}

/**
 * Which checkpoints are worth their room: the newest and the oldest one, and fewer and fewer in between. Going back to one that went computes at most
 * {@link spread} times as many tokens as with it.
 *
 * @param tokens before each checkpoint, the oldest first. @param end of the context. @returns indexes, in order.
 */
export function worthKeeping(tokens: readonly number[], end: number): number[] {
  const distances = tokens.map((count) => Math.max(1, end - count));
  const kept: number[] = [];
  for (let at = tokens.length - 1; at >= 0;) {
    kept.unshift(at);
    const farthest = (distances[at] ?? 0) * spread;
    const next = distances.findIndex((distance) => distance <= farthest);
    at = Math.min(next, at - 1);
  }
  return kept;
}

/**
 * Deletes checkpoints from a slot's file that are not {@link worthKeeping}, in place. A file of another form, or without checkpoints, stays as it is. Until
 * it returns, no record may name the file.
 *
 * @param tokens of the context in it. @returns its size in bytes; null: the disk failed halfway, and the file is deleted, as far as that can be.
 * @throws what the file system throws before anything is changed.
 */
export async function thinCheckpoints(path: string, tokens: number): Promise<number | null> {
  await using file = await open(path, constants.O_RDWR | (constants.O_NOFOLLOW ?? 0));
  const { size } = await file.stat();
  const appendix = await findAppendix(file, size);
  const kept = appendix
    ? worthKeeping(
        appendix.entries.map((entry) => entry.tokens),
        tokens,
      )
    : [];
  if (!appendix || kept.length === appendix.entries.length) return size;
  try {
    return await rewrite(file, appendix, kept);
  } catch {
    await unlink(path).catch(() => undefined);
    return null;
  }
}

/** @param kept indexes, in order. @returns the file's new size. @throws what the file system throws: the file is spoilt then. */
async function rewrite(file: FileHandle, { from: start, entries }: Appendix, kept: readonly number[]): Promise<number> {
  let end = start + headBytes;
  for (const { from, to } of kept.flatMap((at) => entries[at] ?? [])) {
    if (from !== end) await move(file, from, to, end);
    end += to - from;
  }
  const count = Buffer.alloc(4);
  count.writeUInt32LE(kept.length);
  await writeAll(file, count, start + 8);
  await file.truncate(end);
  return end;
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    if (bytesWritten === 0) throw new Error('The disk takes no more of a slot file.');
    done += bytesWritten;
  }
}

/** Towards the beginning of the file. */
async function move(file: FileHandle, from: number, to: number, target: number): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, to - from));
  for (let at = from; at < to;) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, to - at), at);
    if (bytesRead === 0) throw new Error('A slot file became shorter while it was read.');
    await writeAll(file, buffer.subarray(0, bytesRead), target + (at - from));
    at += bytesRead;
  }
}

/** Its mark may stand in the KV, too: only a list that ends with the file is one. */
async function findAppendix(file: FileHandle, size: number): Promise<Appendix | null> {
  const buffer = Buffer.allocUnsafe(Math.min(size, chunkBytes));
  for (let from = 0; from + headBytes < size; from += buffer.length - mark.length + 1) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, from);
    const seen = buffer.subarray(0, bytesRead);
    for (let at = seen.indexOf(mark); at >= 0; at = seen.indexOf(mark, at + 1)) {
      const entries = await entriesAt(file, from + at, size);
      if (entries) return { from: from + at, entries };
    }
    if (bytesRead < buffer.length) return null;
  }
  return null;
}

/** Null where no whole list begins. */
async function entriesAt(file: FileHandle, from: number, size: number): Promise<Entry[] | null> {
  const read = async (at: number, bytes: number): Promise<Buffer | null> => {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, at);
    return bytesRead === bytes ? buffer : null;
  };
  const head = await read(from, headBytes);
  if (!head || head.readUInt32LE(4) !== knownVersion) return null;
  const count = head.readUInt32LE(8);
  if (count > mostCheckpoints) return null;
  const entries: Entry[] = [];
  let at = from + headBytes;
  while (entries.length < count) {
    const entry = await read(at, entryHeadBytes);
    if (!entry) return null;
    let to = at + entryHeadBytes;
    for (let blob = 0; blob < blobs; blob++) {
      const length = await read(to, 8);
      if (!length) return null;
      to += 8 + Number(length.readBigUInt64LE());
      if (to > size) return null;
    }
    entries.push({ tokens: Number(entry.readBigUInt64LE()), from: at, to });
    at = to;
  }
  return at === size ? entries : null;
}
