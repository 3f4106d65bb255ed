/** Text, or why there is none. */
export type DecodedText = { readonly text: string } | { readonly why: string };

const marks: readonly (readonly [mark: readonly number[], encoding: string])[] = [
  // UTF-32's mark begins with that of UTF-16, so it is looked for first.
  [[0xff, 0xfe, 0, 0], 'utf-32le'],
  [[0, 0, 0xfe, 0xff], 'utf-32be'],
  [[0xef, 0xbb, 0xbf], 'utf-8'],
  [[0xff, 0xfe], 'utf-16le'],
  [[0xfe, 0xff], 'utf-16be'],
];

/**
 * Reads text as its byte order mark says, without the mark, and as UTF-8 without one. Nothing is ever replaced: bytes that are not
 * text in that encoding give the reason instead.
 */
export function decodeText(bytes: Uint8Array): DecodedText {
  const [mark, encoding] = marks.find(([mark]) => mark.every((byte, at) => bytes[at] === byte)) ?? [[], null];
  const rest = bytes.subarray(mark.length);
  if (encoding === 'utf-32le' || encoding === 'utf-32be') {
    return { why: 'UTF-32 text, an encoding that is not read: store it as UTF-8' };
  }
  try {
    const text = new TextDecoder(encoding ?? 'utf-8', { fatal: true, ignoreBOM: true }).decode(rest);
    if (encoding === null && looksLikeUtf16(bytes)) return { why: withoutMark };
    return { text };
  } catch {
    if (encoding !== null) return { why: `not valid ${encoding.toUpperCase()} text, which its mark says it is` };
    return { why: looksLikeUtf16(bytes) ? withoutMark : 'not UTF-8 text, perhaps in Latin-1 or another old encoding' };
  }
}

const withoutMark = 'UTF-16 text without a byte order mark: store it as UTF-8';

/** Whether nearly every second byte is NUL, as in UTF-16 text of most alphabets. */
function looksLikeUtf16(bytes: Uint8Array): boolean {
  const looked = bytes.subarray(0, 1024);
  if (looked.length < 4) return false;
  const nuls = [0, 0];
  looked.forEach((byte, at) => byte === 0 && (nuls[at % 2] = (nuls[at % 2] ?? 0) + 1));
  return nuls.some((count) => count > looked.length / 2 / 2) && nuls.some((count) => count === 0);
}
