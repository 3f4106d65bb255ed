/** One run of rows in a sequence state: all keys, or all values, of one layer. */
export interface KvRows {
  /** ggml's number of the element type. */
  readonly type: number;
  /** Bytes of one token's row. */
  readonly rowBytes: number;
}

/** What llama.cpp keeps for each token, in the order of its state files: every layer's keys, then every layer's values. */
export interface KvLayout {
  readonly keys: readonly KvRows[];
  readonly values: readonly KvRows[];
}

export const kvBytesPerToken = (layout: KvLayout): number =>
  [...layout.keys, ...layout.values].reduce((sum, rows) => sum + rows.rowBytes, 0);

export const isSameLayout = (a: KvLayout, b: KvLayout): boolean =>
  isSameRows(a.keys, b.keys) && isSameRows(a.values, b.values);

const isSameRows = (a: readonly KvRows[], b: readonly KvRows[]): boolean =>
  a.length === b.length &&
  a.every(({ type, rowBytes }, index) => b[index]?.type === type && b[index].rowBytes === rowBytes);
