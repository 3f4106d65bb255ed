import { open } from 'node:fs/promises';

/** What a file of a conversation has. */
export interface ConversationFile {
  /** Of the text. */
  readonly bytes: Uint8Array;
  /** Where KV begins behind it, in bytes from the file's beginning; null: there is none. */
  readonly kvOffset: number | null;
}

/** The end of a `.cwindow` file's text, and the beginning of the KV behind it. No text has it: in JSON, a line break within a string is escaped. */
const seam = Buffer.from('\n}\n{"format":"cwm-kv"');
const textEnd = 3;
const chunkBytes = 1 << 20;

/** A file that was read whole. */
export function splitConversationFile(bytes: Uint8Array): ConversationFile {
  const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(seam);
  return at < 0 ? { bytes, kvOffset: null } : { bytes: bytes.subarray(0, at + textEnd), kvOffset: at + textEnd };
}

/** Reads the text of a file, and none of the KV behind it, which may be many times as large. @throws Error as `open` and `read` do. */
export async function readConversationFile(path: string): Promise<ConversationFile> {
  await using file = await open(path, 'r');
  let bytes = Buffer.alloc(0);
  for (;;) {
    const chunk = Buffer.allocUnsafe(chunkBytes);
    const { bytesRead } = await file.read(chunk, 0, chunkBytes, bytes.length);
    const from = Math.max(0, bytes.length - seam.length);
    bytes = Buffer.concat([bytes, chunk.subarray(0, bytesRead)]);
    const at = bytes.indexOf(seam, from);
    if (at >= 0) return { bytes: bytes.subarray(0, at + textEnd), kvOffset: at + textEnd };
    if (bytesRead === 0) return { bytes, kvOffset: null };
  }
}
