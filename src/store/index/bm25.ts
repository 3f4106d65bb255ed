const saturation = 1.2;
const lengthWeight = 0.75;

/**
 * Okapi BM25 of one row and one column, from SQLite's `matchinfo(…, 'pcnalx')` (https://www.sqlite.org/fts3.html#matchinfo): numbers of
 * 32 bits in the machine's order, which is little-endian in WebAssembly.
 */
export function bm25(matchinfo: Uint8Array): number {
  const view = new DataView(matchinfo.buffer, matchinfo.byteOffset, matchinfo.byteLength);
  const at = (index: number): number => view.getUint32(index * 4, true);
  const [phrases, , rows, averageLength, length] = [at(0), at(1), at(2), at(3), at(4)];
  let score = 0;
  for (let phrase = 0; phrase < phrases; phrase++) {
    const occurrences = at(5 + phrase * 3);
    const rowsWithPhrase = at(5 + phrase * 3 + 2);
    const rarity = Math.log(1 + (rows - rowsWithPhrase + 0.5) / (rowsWithPhrase + 0.5));
    const dampened = saturation * (1 - lengthWeight + (lengthWeight * length) / Math.max(1, averageLength));
    score += (rarity * occurrences * (saturation + 1)) / (occurrences + dampened);
  }
  return score;
}
