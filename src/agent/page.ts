import { CwmError } from '../protocol/errors.ts';

export interface PageInput {
  readonly limit?: number | undefined;
  readonly offset?: number | undefined;
  readonly cursor?: string | undefined;
}

export interface Page {
  readonly limit: number;
  readonly offset: number;
}

/** @throws CwmError InvalidParameter for a cursor that no answer gave. */
export function pageOf({ limit, offset = 0, cursor }: PageInput, defaultLimit: number): Page {
  if (cursor === undefined) return { limit: limit ?? defaultLimit, offset };
  const [, digits] = /^at-(\d{1,9})$/.exec(cursor) ?? [];
  if (digits === undefined)
    throw new CwmError('InvalidParameter', `${JSON.stringify(cursor.slice(0, 40))} is no cursor.`);
  return { limit: limit ?? defaultLimit, offset: Number(digits) };
}

/** How an answer says where the next one begins. */
export const pageAnswer = (
  { limit, offset }: Page,
  { items, total, hasMore }: { readonly items: readonly unknown[]; readonly total: number; readonly hasMore: boolean },
): { total: number; page: number; total_pages: number; has_more: boolean; next_cursor: string | null } => ({
  total,
  page: Math.floor(offset / limit) + 1,
  total_pages: Math.ceil(total / limit),
  has_more: hasMore,
  next_cursor: hasMore ? `at-${offset + items.length}` : null,
});
