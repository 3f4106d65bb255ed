/** One merge rule: two adjacent tokens that become one. */
export type Merge = readonly [left: string, right: string];

/** GPT-2's printable stand-in for each of the 256 bytes, by byte. */
export const byteTokens: readonly string[] = printableBytes();

function printableBytes(): string[] {
  const isPrintable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let substitutes = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : 256 + substitutes++));
}

/**
 * The merge rules that make exactly the given tokens, in their order.
 *
 * @throws RangeError when an entry is not two tokens to the rules before it: the list would then be ambiguous.
 */
export function mergesOf(mergedTokens: readonly string[]): Merge[] {
  const rankOf = new Map<string, number>();
  return mergedTokens.map((token, rank) => {
    const [left, right, ...more] = encode(token, rankOf);
    if (left === undefined || right === undefined || more.length > 0) {
      throw new RangeError(`"${token}" is not one merge of the tokens before it`);
    }
    rankOf.set(pairKey(left, right), rank);
    return [left, right];
  });
}

// A space never occurs in printable bytes.
const pairKey = (left: string, right: string): string => `${left} ${right}`;

/** What byte-pair encoding makes of one pre-token, given in printable bytes. */
function encode(word: string, rankOf: ReadonlyMap<string, number>): string[] {
  const parts = word.split('');
  for (;;) {
    let bestRank = Number.POSITIVE_INFINITY;
    let bestAt = -1;
    for (let at = 0; at + 1 < parts.length; at++) {
      const rank = rankOf.get(pairKey(parts[at] ?? '', parts[at + 1] ?? ''));
      if (rank !== undefined && rank < bestRank) [bestRank, bestAt] = [rank, at];
    }
    if (bestAt < 0) return parts;
    parts.splice(bestAt, 2, `${parts[bestAt]}${parts[bestAt + 1]}`);
  }
}
