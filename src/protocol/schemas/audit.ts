import * as z from 'zod/mini';
import { growing } from './growing.ts';

/**
 * What the audit log tells of (S0-61). The last three are about the log itself: a line that a crash had cut short was removed,
 * entries were found missing at its end, a month was old enough to go.
 */
const auditEvents = [
  'SESSION_CREATE',
  'SESSION_STATE_CHANGE',
  'SESSION_DELETE',
  'SESSION_RESTORE',
  'STATE_UPDATE',
  'STATE_RESTORE',
  'WINDOW_FREEZE',
  'WINDOW_THAW',
  'WINDOW_CLONE',
  'WINDOW_DELETE',
  'WINDOW_RESTORE',
  'TRASH_EMPTY',
  'ACCESS_DENIED',
  'VALIDATION_FAILURE',
  'CONFIG_CHANGE',
  'STORE_MIGRATE',
  'STORE_RESTORE',
  'LOG_REPAIRED',
  'LOG_DAMAGED',
  'LOG_EXPIRED',
] as const;
export type AuditEvent = (typeof auditEvents)[number];

const text = z.string();
const id = z.optional(text);
const count = z.optional(z.number());

/** A point of the log: the number of an entry, and the hash of its line. */
export const auditPointSchema = z.object({ sequence: z.number(), hash: text });
export type AuditPoint = z.infer<typeof auditPointSchema>;

/** What happened, in ids and words of this program alone: never a text, a title, a salt, a key or the refused value. */
export const auditFactSchema = z.object({
  event: growing(auditEvents),
  /** `ok`, or the code of the error that the caller got. */
  outcome: text,
  /** What the client says it is, like `cli.4711`; `backend` for what the backend does by itself. */
  client: text,
  /** Route of the control API, where one was refused. */
  route: id,
  session: id,
  window: id,
  /** Window that was cloned. */
  source: id,
  mode: id,
  verdict: id,
  /** Lifecycle of the session, version of its state, or format of the store, before and after. */
  from: id,
  to: id,
  /** Name of the invalid parameter. */
  parameter: id,
  settings: z.optional(z.record(z.string(), z.union([text, z.number(), z.boolean(), z.null()]))),
  /** How many sessions and windows went for good. */
  items: count,
  /** Refusals of the minute before that have no entry of their own: there were too many. */
  unrecorded: count,
  /** Entries before this one that could not be written. */
  lost: count,
  /** Up to which entry the log was removed. */
  through: z.optional(auditPointSchema),
});
export type AuditFact = z.infer<typeof auditFactSchema>;

/** One line of the log. */
const auditEntrySchema = z.extend(auditFactSchema, {
  /** Starts at 1 and grows by one, over all files of the log. */
  sequence: z.number(),
  at: text,
  /** Hash of the line before, 64 zeros for the first. */
  previous: text,
});
export type AuditEntry = z.infer<typeof auditEntrySchema>;

/** What a check of the log found. `line` is 1-based within `file`, 0 where it is about no line. */
export const auditReportSchema = z.object({
  healthy: z.boolean(),
  entries: z.number(),
  files: z.number(),
  /** The latest entry; null while there is none. A copy of it elsewhere proves later that no entry before it was changed. */
  head: z.nullable(auditPointSchema),
  /** At most 100. */
  problems: z.array(z.object({ file: text, line: z.number(), what: text })),
});
export type AuditReport = z.infer<typeof auditReportSchema>;
