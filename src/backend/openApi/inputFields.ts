import type { RouteName } from '../../protocol/api.ts';
import { maxSessionIdLength, maxWindowNameLength } from '../../protocol/ids.ts';
import { maxAnswerTokens } from '../../protocol/schemas/sessionSettings.ts';

/** A part of a JSON schema. */
export type JsonSchema = Readonly<Record<string, unknown>>;

const name = (maxLength: number): JsonSchema => ({ pattern: `^[A-Za-z0-9_-]{1,${maxLength}}$` });
/** More than blanks. */
const said: JsonSchema = { pattern: String.raw`\S` };
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
  from: { pattern: String.raw`^[a-z][a-z0-9+.-]*://\S+$`, maxLength: 4096 },
  leaving: { pattern: String.raw`^[a-z][a-z0-9+.-]*://\S+$`, maxLength: 4096 },
  limit: whole(1, 100),
  offset: whole(0, Number.MAX_SAFE_INTEGER),
  after: whole(0, Number.MAX_SAFE_INTEGER),
  version: whole(0),
  name: name(maxSessionIdLength),
  title: { ...said, maxLength: 1000 },
  description: { maxLength: 1000 },
  expiresAt: instant,
  systemPrompt: name(maxSessionIdLength),
  known: { pattern: '^[1-9][0-9]{0,14}:[0-9a-f]{64}$' },
  ids: { pattern: '^[A-Za-z0-9_-]{1,128}(,[A-Za-z0-9_-]{1,128}){0,99}$' },
  tags: { maxItems: 10, items: { type: 'string', ...name(32) } },
  text: said,
  olderThanDays: { minimum: 0 },
  keep: whole(0),
  images: { maxItems: 8 },
  maxTokens: whole(1, maxAnswerTokens),
  temperature: { minimum: 0, maximum: 2 },
  createdAfter: instant,
  createdBefore: instant,
  at: instant,
};

/** Where a name means something else. */
const byRoute: Readonly<Partial<Record<RouteName, Readonly<Record<string, JsonSchema>>>>> = {
  listWindows: { tags: { pattern: '^([A-Za-z0-9_-]{1,32}(,[A-Za-z0-9_-]{1,32}){0,9})?$' } },
  tokenUsage: { from: { format: 'date' }, to: { format: 'date' } },
  createBranch: { at: name(maxWindowNameLength) },
  createSession: { title: { maxLength: 1000 } },
  importConversation: { title: { maxLength: 1000 } },
  putPrompt: { text: {} },
  restoreRecoveryPoint: { id: {} },
};

/** What the fields of a route must be together. */
export const inputTogether: Readonly<Partial<Record<RouteName, JsonSchema>>> = {
  prune: { anyOf: [{ required: ['olderThanDays'] }, { required: ['keep'] }] },
  restoreRecoveryPoint: { maxProperties: 1 },
};

export const inputField = (route: RouteName, field: string): JsonSchema =>
  byRoute[route]?.[field] ?? byName[field] ?? {};
