import { CwmError } from './errors.ts';

const maxLimit = 100;

/** @throws CwmError InvalidParameter unless `limit` is a whole number from 1 to 100 and `offset` one from 0. */
export function parsePage(
  input: { readonly limit?: unknown; readonly offset?: unknown },
  defaultLimit: number,
): { limit: number; offset: number } {
  const limit = input.limit === undefined ? defaultLimit : Number(input.limit);
  const offset = input.offset === undefined ? 0 : Number(input.offset);
  if (!Number.isInteger(limit) || limit < 1 || limit > maxLimit) {
    throw new CwmError('InvalidParameter', `"limit" must be a whole number from 1 to ${maxLimit}.`);
  }
  if (!Number.isSafeInteger(offset) || offset < 0)
    throw new CwmError('InvalidParameter', '"offset" must be a whole number from 0.');
  return { limit, offset };
}

const pageItems = 100;

/** Every item of a list that comes in pages. @param list gives the page behind `offset` items. */
export async function allItems<Item>(
  list: (page: { readonly limit: number; readonly offset: number }) => Promise<{
    readonly items: readonly Item[];
    readonly hasMore: boolean;
  }>,
): Promise<Item[]> {
  const items: Item[] = [];
  for (let hasMore = true; hasMore;) {
    const page = await list({ limit: pageItems, offset: items.length });
    items.push(...page.items);
    hasMore = page.hasMore;
  }
  return items;
}
