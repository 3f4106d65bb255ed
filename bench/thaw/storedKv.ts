import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { BlockFolder, newBlockCounters } from '../../src/embedded/kv/files/blockFolder.ts';
import { blockNames } from '../../test/embedded/support/engineProcess.ts';
import { mustHold } from '../benchmark.ts';

/**
 * Writes block files for a prompt without computing it: a disk, a checksum and llama.cpp's load treat every row alike, and a context of
 * 2 GB takes many minutes to compute.
 *
 * @param block its tokens, and the bytes of its payload.
 */
export function writeInventedKv(
  folder: string,
  ids: readonly number[],
  { blockTokens, payloadBytes }: { readonly blockTokens: number; readonly payloadBytes: number },
  key: Uint8Array | null,
): void {
  const counters = newBlockCounters();
  const log = (message: string): void => console.error(message);
  const blocks = new BlockFolder({ path: folder, kind: 'rows', seal: { key }, payloadBytes, counters, log });
  const payload = Buffer.alloc(payloadBytes);
  // Numbers from 0.5 to 1 in 16 bits, which no arithmetic stumbles over.
  for (let at = 0; at < payloadBytes; at += 2) payload.writeUInt16LE(0x3800 | ((at * 2_654_435_761) >>> 22), at);
  mkdirSync(folder, { recursive: true });
  for (const [index, name] of blockNames(ids, null, blockTokens).entries()) {
    payload.writeUInt16LE(0x3800 | (index & 0x3ff));
    if (!blocks.has(name))
      mustHold(blocks.write(name, payload, join(folder, 'invented.tmp')), `block ${index} was written`);
  }
}
