import { createHash } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { headBytes, nameBytesOf, openBody, sha256At, sha256Of } from '../files/blockFile.ts';
import { pieceFile } from '../files/blockFolder.ts';
import { jobFileBytes, type BlockJob, type BlockOutcome } from './blockJob.ts';
import { readAt, writeAll } from '../files/wholeCalls.ts';

/**
 * Writes the SHA-256 over name and body into the head of a block that was cut without it. A block that is not whole is left to the load, which
 * deletes it. The one write of 32 bytes leaves a whole block wherever a kill comes.
 */
export function sumBlock(job: BlockJob, hash: string): BlockOutcome {
  let file: number;
  try {
    file = openSync(pieceFile(job.folder, hash, 'rows'), 'r+');
  } catch {
    return 'missing';
  }
  try {
    const bytes = Buffer.allocUnsafe(Math.max(headBytes, job.partBytes));
    const head = bytes.subarray(0, headBytes);
    const body = readAt(file, head, 0) ? openBody(hash, head, 'rows', job.seal) : null;
    if (!body) return 'damaged';
    if (sha256Of(head) !== null) return 'done';
    const sha256 = createHash('sha256').update(nameBytesOf(head));
    const end = jobFileBytes(job);
    for (let at = headBytes; at < end;) {
      const part = bytes.subarray(0, Math.min(bytes.length, end - at));
      if (!readAt(file, part, at)) return 'damaged';
      sha256.update(part);
      body.take(part);
      at += part.length;
    }
    if (!body.isWhole()) return 'damaged';
    writeAll(file, sha256.digest(), sha256At);
    return 'done';
  } finally {
    closeSync(file);
  }
}
