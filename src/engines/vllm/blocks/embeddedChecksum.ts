import { createHash, hash } from 'node:crypto';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { kvBlockHead } from '../../../base/kvBlockHead.ts';
import { CwmError } from '../../../protocol/errors.ts';
import { isMissing, type ChecksumOf } from '../../files/blockFile.ts';

const { nameAt, nonceAt, sha256At, bodyAt } = kvBlockHead;
const chunkBytes = 1024 * 1024;
const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0);

/**
 * The checksum of one of the embedded engine's files, in hex: SHA-256 over its head. The head has the SHA-256 over name and body that the
 * engine computed. `bytes` computes that one again, so that a changed body gives another checksum. Where the engine has not computed it
 * yet, both compute it.
 *
 * @returns null when there is no file.
 */
export async function embeddedChecksum(path: string, of: ChecksumOf, signal: AbortSignal): Promise<string | null> {
  try {
    return (of === 'head' ? headChecksum(path) : null) ?? (await bytesChecksum(path, signal));
  } catch (cause) {
    if (isMissing(cause)) return null;
    if (signal.aborted) throw cause;
    throw new CwmError('ReadFailed', `${path} cannot be read.`, { cause });
  }
}

/**
 * Null when the head has no SHA-256 yet. Synchronous: the file is on this machine, and a promise costs many times as much as such a read.
 */
function headChecksum(path: string): string | null {
  const file = openSync(path, flags);
  try {
    const head = Buffer.alloc(bodyAt);
    const read = head.subarray(0, readSync(file, head, 0, bodyAt, 0));
    return isComputed(read) ? hash('sha256', read, 'hex') : null;
  } finally {
    closeSync(file);
  }
}

async function bytesChecksum(path: string, signal: AbortSignal): Promise<string> {
  await using file = await open(path, flags);
  const buffer = Buffer.alloc(chunkBytes);
  const { bytesRead } = await file.read(buffer, 0, bodyAt, 0);
  const head = Buffer.from(buffer.subarray(0, bytesRead));
  const body = createHash('sha256').update(head.subarray(nameAt, nonceAt));
  for (let at = bodyAt; ;) {
    signal.throwIfAborted();
    const chunk = await file.read(buffer, 0, chunkBytes, at);
    if (chunk.bytesRead === 0) break;
    body.update(buffer.subarray(0, chunk.bytesRead));
    at += chunk.bytesRead;
  }
  const sha256 = body.digest();
  if (!isComputed(head)) sha256.copy(head, sha256At);
  const isAsWritten = sha256.equals(head.subarray(sha256At));
  return hash('sha256', isAsWritten ? head : Buffer.concat([head, sha256]), 'hex');
}

/** Whether the head is cut short, or has its SHA-256. */
const isComputed = (head: Buffer): boolean =>
  head.length < bodyAt || head.subarray(sha256At).some((byte) => byte !== 0);
