import * as z from 'zod/mini';
import { growing } from './growing.ts';
import { sessionIdSchema } from './ids.ts';

/** Any JSON object. The tracker checks its content, because it can name what is wrong (S3-06). */
export type JsonObject = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);
// Not `z.record`, which drops a key like `__proto__` without a word.
export const jsonObjectSchema = z.custom<JsonObject>(isObject, 'Invalid input: expected object');

/** The state of a session: `data` is the state itself, `metadata` says something about it. */
const stateContentSchema = z.object({ data: jsonObjectSchema, metadata: jsonObjectSchema });
export type StateContent = z.infer<typeof stateContentSchema>;

/** The content at one version (S3-01). */
export const versionedStateSchema = z.extend(stateContentSchema, {
  /** 0 before anything was stored; the next update must name one more. */
  version: z.number(),
  /** ISO 8601; never goes back, also when the clock does. */
  lastUpdated: z.string(),
});
export type VersionedState = z.infer<typeof versionedStateSchema>;

export const sessionStateSchema = z.extend(versionedStateSchema, {
  session: sessionIdSchema,
  /** Tells the session from a later one of the same id; missing when the session's own record is damaged. */
  sessionCreatedAt: z.optional(z.string()),
  /** Whether it is what the folder it was last synchronised with had then. */
  synchronized: z.boolean(),
});
export type SessionState = z.infer<typeof sessionStateSchema>;

/**
 * Why a recovery point was made. `update` and `turn`: before the first of several changes that follow each other closely; `restore`:
 * before another one was restored; `request`: because somebody asked.
 */
export const recoveryReasons = ['update', 'turn', 'restore', 'request'] as const;
export type RecoveryReason = (typeof recoveryReasons)[number];

export const recoveryPointSummarySchema = z.object({
  id: z.string(),
  session: sessionIdSchema,
  at: z.string(),
  reason: growing(recoveryReasons),
  /** Version of the state in it. */
  version: z.number(),
  /** Of the active branch. */
  messages: z.number(),
  /** Token ids that the engine last saw. */
  tokens: z.number(),
});
export type RecoveryPointSummary = z.infer<typeof recoveryPointSummarySchema>;

/** Which recovery point (S3-08). With none of them: the one with the latest version. */
export const recoveryChoiceSchema = z.object({
  id: z.optional(z.string()),
  /** Exactly this version of the state. */
  version: z.optional(z.number()),
  /** ISO 8601: the latest one that is not after it. */
  at: z.optional(z.string()),
});
export type RecoveryChoice = z.infer<typeof recoveryChoiceSchema>;

/** What a restore did. */
export const restoreResultSchema = z.object({
  restored: recoveryPointSummarySchema,
  state: sessionStateSchema,
  /** Recovery point of how the session was before, which undoes this; null when its state was damaged. */
  undo: z.nullable(z.string()),
  /** Ids of recovery points that turned out damaged, and could not be taken. */
  damaged: z.array(z.string()),
});
export type RestoreResult = z.infer<typeof restoreResultSchema>;

/** What becomes of a state that was changed on both sides in different ways (S3-05). */
export const conflictPolicies = ['keep-latest', 'keep-oldest', 'merge', 'manual'] as const;
export type ConflictPolicy = (typeof conflictPolicies)[number];

/** `sync` changes both sides, `pull` only the session, `push` only the folder. */
export const syncDirections = ['sync', 'pull', 'push'] as const;
export type SyncDirection = (typeof syncDirections)[number];

export const syncResultSchema = z.object({
  state: sessionStateSchema,
  /** Whether each side was changed. */
  pulled: z.boolean(),
  pushed: z.boolean(),
  /** Whether both had been changed in different ways, so that the policy decided. */
  conflict: z.boolean(),
});
export type SyncResult = z.infer<typeof syncResultSchema>;

export const selectedSessionsSchema = z.object({
  /** State of the session that was selected last; null when none is selected. */
  current: z.nullable(sessionStateSchema),
  /** Ids of all selected sessions; the last selected one comes first. */
  active: z.array(sessionIdSchema),
  /** The session that was deselected to make room: it was selected the longest ago. */
  deactivated: z.nullable(sessionIdSchema),
});
export type SelectedSessions = z.infer<typeof selectedSessionsSchema>;
