import type { RouteName } from '../../protocol/api.ts';
import { maxSessionIdLength, maxWindowNameLength } from '../../protocol/ids.ts';

/** A part of a JSON schema. */
export type JsonSchema = Readonly<Record<string, unknown>>;

const name = (maxLength: number): JsonSchema => ({ pattern: `^[A-Za-z0-9_-]{1,${maxLength}}$` });
const instant: JsonSchema = { format: 'date-time' };
const whole = (minimum: number, maximum?: number): JsonSchema => ({
  type: 'integer',
  minimum,
  ...(maximum !== undefined && { maximum }),
});

/**
 * What the operations demand of a field beyond its type. The schemas leave it to them, since they can say what is wrong and with which code.
 * The key is the field's name, because a name means the same in every route. A stranger's program that drives every route holds this
 * table against the operations: what it makes by this table must be taken, and what breaks it must be refused.
 */
const byName: Readonly<Record<string, JsonSchema>> = {
  session: name(maxSessionIdLength),
  id: name(maxSessionIdLength),
  window: name(maxWindowNameLength),
  target: name(maxWindowNameLength),
  message: name(maxWindowNameLength),
  upTo: name(maxWindowNameLength),
  prompt: name(maxSessionIdLength),
  branch: name(maxSessionIdLength),
  rename: name(maxSessionIdLength),
  with: name(maxSessionIdLength),
  project: { pattern: String.raw`^[a-z][a-z0-9+.-]*://\S+$`, maxLength: 4096 },
  limit: whole(1, 100),
  offset: whole(0),
  after: whole(0),
  version: whole(0),
  description: { maxLength: 1000 },
  expiresAt: instant,
  createdAfter: instant,
  createdBefore: instant,
  at: instant,
};

/** Where a name means something else. */
const byRoute: Readonly<Partial<Record<RouteName, Readonly<Record<string, JsonSchema>>>>> = {};

export const inputField = (route: RouteName, field: string): JsonSchema =>
  byRoute[route]?.[field] ?? byName[field] ?? {};
