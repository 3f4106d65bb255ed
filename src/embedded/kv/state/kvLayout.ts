/** One run of rows in a sequence state: all keys, or all values, of one layer. */
export interface KvRows {
  /** ggml's number of the element type. */
  readonly type: number;
  /** Bytes of one token's row. */
  readonly rowBytes: number;
}

/** What llama.cpp stores for each token, in the order of its state files: every layer's keys, then every layer's values. */
export interface KvLayout {
  readonly keys: readonly KvRows[];
  readonly values: readonly KvRows[];
}

/**
 * What the state of a model is made of. A plain attention cache is rows alone, which can be cut after any token. The rows of
 * a sliding window and the state of a recurrent layer hold for one position only: they are the position state, which cannot
 * be cut, only stored whole.
 */
export interface StateShape {
  /** Null when no part of the state can be cut into rows: a recurrent model. */
  readonly rows: KvLayout | null;
  readonly hasPositionState: boolean;
}

/** Whether the sequence can be cut after any token, in memory and on disk. */
export const canCut = (shape: StateShape): boolean => shape.rows !== null && !shape.hasPositionState;

export const kvBytesPerToken = (layout: KvLayout): number =>
  [...layout.keys, ...layout.values].reduce((sum, rows) => sum + rows.rowBytes, 0);

/** Tokens of a block where nobody chose: few enough for a block of {@link goodBlockBytes}, but at least {@link leastBlockTokens}. */
export function usualBlockTokens(layout: KvLayout | null): number {
  const fitting = layout === null ? mostBlockTokens : goodBlockBytes / kvBytesPerToken(layout);
  const power = 2 ** Math.floor(Math.log2(Math.max(1, fitting)));
  return Math.min(mostBlockTokens, Math.max(leastBlockTokens, power));
}

const mostBlockTokens = 32;
/** The tokens behind the last full block are computed again after each load, so that a block should be short where a token computes long. */
const leastBlockTokens = 8;
/** In larger files, a byte takes hardly less time. */
const goodBlockBytes = 1 << 20;

export const isSameLayout = (a: KvLayout, b: KvLayout): boolean =>
  isSameRows(a.keys, b.keys) && isSameRows(a.values, b.values);

const isSameRows = (a: readonly KvRows[], b: readonly KvRows[]): boolean =>
  a.length === b.length &&
  a.every(({ type, rowBytes }, index) => b[index]?.type === type && b[index].rowBytes === rowBytes);
