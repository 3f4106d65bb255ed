import type { JsonObject, StateContent, VersionedState } from '../../protocol/schemas/tracker.ts';

/** A session's state before anything was stored. */
export const emptyState = (lastUpdated: string): VersionedState => ({
  version: 0,
  lastUpdated,
  data: {},
  metadata: {},
});

export const contentOf = ({ data, metadata }: StateContent): StateContent => ({ data, metadata });

/** Compares JSON values; the order of an object's names does not count. */
export const sameJson = (a: unknown, b: unknown): boolean => a === b || canonicalJson(a) === canonicalJson(b);

export const sameContent = (a: StateContent, b: StateContent): boolean =>
  sameJson(a.data, b.data) && sameJson(a.metadata, b.metadata);

/** One text for equal values: names in order. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    isJsonObject(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  );
}

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Times of states never decrease, so that "latest" stays right when a clock is set back. */
export function laterStamp(now: Date, before: string): string {
  const stamp = now.toISOString();
  return stamp > before ? stamp : before;
}
