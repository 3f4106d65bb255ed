import type { FileHandle } from 'node:fs/promises';

/** The mark `ggsq`, the version of the format, and the number of 4-byte values behind them: each 4 bytes. */
const headBytes = 12;
const mark = 0x67677371;
/** Versions that begin with the ids themselves, and those that pack them. */
const [plainVersion, packedVersions] = [2, [3, 4]] as const;
/** Of packed ids: a value that is no id, the version of the form, and the number of ids. Pictures stand behind the ids. */
const packedHead = [0xffffffff, 1] as const;

/** The ids at the beginning of a slot's file; null for a form that is not known here. */
export async function idsIn(file: FileHandle): Promise<readonly number[] | null> {
  const { size } = await file.stat();
  const values = async (count: number, at: number): Promise<number[] | null> => {
    // A damaged number must not become memory.
    if (at + 4 * count > size) return null;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4 * count), 0, 4 * count, at);
    return bytesRead < 4 * count ? null : Array.from({ length: count }, (_, index) => buffer.readUInt32LE(4 * index));
  };
  const [found, version, count = 0] = (await values(3, 0)) ?? [];
  if (found !== mark || version === undefined) return null;
  if (version === plainVersion) return values(count, headBytes);
  const [first, form, packed = 0] = (await values(3, headBytes)) ?? [];
  const isKnown =
    packedVersions.some((known) => known === version) && first === packedHead[0] && form === packedHead[1];
  return isKnown && packed <= count ? values(packed, headBytes + 12) : null;
}
