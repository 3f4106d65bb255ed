import type { CompressionLevel } from '../../../protocol/memory/page.ts';

/** With fewer tokens left, nothing that helps fits any more (S1-61). */
const fewestTokens = 50;

/** A page that wants a place. */
interface Packable {
  readonly page: string;
  /** Its text at a level; a higher level is no longer than a lower one. Null: it has none there. */
  readonly textAt: (level: CompressionLevel) => { readonly text: string; readonly level: CompressionLevel } | null;
}

interface Packed {
  readonly page: string;
  readonly text: string;
  readonly level: CompressionLevel;
  readonly tokens: number;
}

export interface Pack {
  /** In the order in which they were given; those with a level above 0 are shortened. */
  readonly included: readonly Packed[];
  readonly truncated: readonly string[];
  readonly omitted: readonly string[];
  /** Of all texts together; never more than the budget. */
  readonly tokens: number;
}

/**
 * Gives each page as much of its text as the budget lets: all of it, else less and less of it, else nothing. What comes first takes first.
 *
 * @param levels that are tried, from the fullest on.
 * @param count of a text, as the engine counts it.
 */
export async function packPages(
  pages: readonly Packable[],
  budget: number,
  levels: readonly CompressionLevel[],
  count: (text: string) => Promise<number>,
): Promise<Pack> {
  const included: Packed[] = [];
  const omitted: string[] = [];
  let left = budget;
  for (const { page, textAt } of pages) {
    const packed = left < fewestTokens ? null : await fullest(page, textAt, left);
    if (packed) {
      included.push(packed);
      left -= packed.tokens;
    } else omitted.push(page);
  }
  return {
    included,
    truncated: included.filter(({ level }) => level > 0).map(({ page }) => page),
    omitted,
    tokens: included.reduce((sum, { tokens }) => sum + tokens, 0),
  };

  async function fullest(page: string, textAt: Packable['textAt'], most: number): Promise<Packed | null> {
    for (const wanted of levels) {
      const at = textAt(wanted);
      if (!at) continue;
      const tokens = await count(at.text);
      if (tokens <= most) return { page, ...at, tokens };
    }
    return null;
  }
}
