import * as z from 'zod/mini';
import { auditReportSchema } from './schemas/audit.ts';
import { capabilitiesSchema } from './schemas/capabilities.ts';
import { receiptSchema } from './schemas/receipt.ts';
import { engineStatusSchema, findingSchema, verifyStepSchema } from './schemas/health.ts';
import { lifecycles, messageSchema, sessionSchema } from './schemas/session.ts';
import { pruneResultSchema, trashItemSchema, usageSchema } from './schemas/space.ts';
import {
  activeStatesSchema,
  conflictPolicies,
  jsonObjectSchema,
  recoveryChoiceSchema,
  recoveryPointSummarySchema,
  restoreResultSchema,
  sessionStateSchema,
  syncDirections,
  syncResultSchema,
} from './schemas/tracker.ts';
import { primeResultSchema, sendResultSchema } from './schemas/turn.ts';
import { windowDetailsSchema, windowSummarySchema } from './schemas/window.ts';

/**
 * The control API: REST over the backend's socket. Each route says what goes in and what comes out; server and client are
 * both made from this table. Errors are `{ error: ErrorReport }` with the code's status. Sessions keep the path
 * `/api/contexts`, which other clients know.
 *
 * Path parameters stand as `:name` and are taken from the input's fields of that name; what is left goes into the query
 * (GET, DELETE) or the JSON body.
 */
export interface Route<In extends z.ZodMiniType = z.ZodMiniType, Out extends z.ZodMiniType = z.ZodMiniType> {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly input: In;
  readonly output: Out;
}

const route = <In extends z.ZodMiniType, Out extends z.ZodMiniType>(
  method: Route['method'],
  path: string,
  input: In,
  output: Out,
): Route<In, Out> => ({ method, path, input, output });

const text = z.string();
const flag = z.optional(z.boolean());
const queryFlag = z.optional(z.union([z.boolean(), z.stringbool()]));
const page = { limit: z.optional(z.coerce.number()), offset: z.optional(z.coerce.number()) };
const nothing = z.object({});

/** A request that may name its engine: a URL, `embedded` or `embedded:FILE`. Default: the session's or window's own. */
const onEngine = { engine: z.optional(text) };

export const routes = {
  health: route(
    'GET',
    '/api/health',
    /** `probe`: ask the engines before answering, for at most five seconds, instead of telling how they were last seen. */
    z.object({ probe: queryFlag }),
    z.object({
      status: z.enum(['healthy', 'degraded', 'unhealthy']),
      version: text,
      pid: z.number(),
      storage: text,
      uptimeSeconds: z.number(),
      sessions: z.number(),
      windows: z.number(),
      engines: z.array(engineStatusSchema),
    }),
  ),
  doctor: route(
    'GET',
    '/api/doctor',
    z.object(onEngine),
    z.object({
      engine: engineStatusSchema,
      findings: z.array(findingSchema),
      /** Null when the engine could not be asked. */
      capabilities: z.nullable(capabilitiesSchema),
    }),
  ),
  shutdown: route('POST', '/api/shutdown', nothing, nothing),
  /** `known`: an entry that was noted down, as `<sequence>:<hash>`. */
  verifyAudit: route('GET', '/api/audit/verify', z.object({ known: z.optional(text) }), auditReportSchema),

  /** How the store lies on the disk. `keyFile` and `keyId` are null when it is not encrypted. */
  encryption: route(
    'GET',
    '/api/encryption',
    nothing,
    z.object({ state: z.enum(['off', 'on']), keyId: z.nullable(text), keyFile: z.nullable(text) }),
  ),

  createSession: route(
    'POST',
    '/api/contexts',
    z.object({
      id: z.optional(text),
      title: z.optional(text),
      project: z.optional(z.nullable(text)),
      ...onEngine,
    }),
    /** `notes` say what the user should know, like that there are very many sessions. */
    z.extend(sessionSchema, { notes: z.optional(z.array(text)) }),
  ),
  listSessions: route(
    'GET',
    '/api/contexts',
    z.object({
      project: z.optional(text),
      lifecycle: z.optional(z.enum(lifecycles)),
      model: z.optional(text),
      search: z.optional(text),
      ...page,
    }),
    z.object({ items: z.array(sessionSchema), total: z.number(), hasMore: z.boolean() }),
  ),
  getSession: route('GET', '/api/contexts/:session', z.object({ session: text }), sessionSchema),
  deleteSession: route(
    'DELETE',
    '/api/contexts/:session',
    z.object({ session: text, cascade: queryFlag }),
    z.object({ deletedWindows: z.array(text) }),
  ),
  listMessages: route(
    'GET',
    '/api/contexts/:session/messages',
    z.object({ session: text, ...page }),
    z.object({
      items: z.array(messageSchema),
      total: z.number(),
      hasMore: z.boolean(),
    }),
  ),
  send: route(
    'POST',
    '/api/contexts/:session/messages',
    z.object({
      session: text,
      text,
      maxTokens: z.optional(z.number()),
      /** 0 to 2; default 0, greedy. */
      temperature: z.optional(z.number()),
      ...onEngine,
    }),
    sendResultSchema,
  ),
  /** `paths` are absolute, or relative to `cwd`. */
  prime: route(
    'POST',
    '/api/contexts/:session/files',
    z.object({
      session: text,
      paths: z.array(text),
      cwd: z.optional(text),
      /** Prefill limit: files past it are left out and named. Default: what fits into the model's context. */
      maxTokens: z.optional(z.number()),
      ...onEngine,
    }),
    primeResultSchema,
  ),
  freeze: route(
    'POST',
    '/api/contexts/:session/freeze',
    z.object({
      session: text,
      window: text,
      checkpoint: flag,
      description: z.optional(text),
      tags: z.optional(z.array(text)),
      ...onEngine,
    }),
    receiptSchema,
  ),

  listWindows: route(
    'GET',
    '/api/windows',
    z.object({
      session: z.optional(text),
      project: z.optional(text),
      model: z.optional(text),
      /** Comma-separated. */
      tags: z.optional(text),
      search: z.optional(text),
      createdAfter: z.optional(text),
      createdBefore: z.optional(text),
      sortBy: z.optional(z.enum(['name', 'createdAt', 'tokens', 'kvBytes'])),
      order: z.optional(z.enum(['asc', 'desc'])),
      ...page,
    }),
    z.object({ items: z.array(windowSummarySchema), total: z.number(), hasMore: z.boolean() }),
  ),
  getWindow: route('GET', '/api/windows/:window', z.object({ window: text }), windowDetailsSchema),
  thaw: route(
    'POST',
    '/api/windows/:window/thaw',
    z.object({
      window: text,
      /** Id of the new session; default `thaw-<window>-<stamp>`, cut to 64 characters. */
      session: z.optional(text),
      /** Go on in the frozen session itself instead of a new one. */
      resume: flag,
      /** Thaw although the model is another; the KV is then not used. */
      insist: flag,
      ...onEngine,
    }),
    receiptSchema,
  ),
  clone: route(
    'POST',
    '/api/windows/:window/clone',
    z.object({
      window: text,
      target: text,
      description: z.optional(text),
      tags: z.optional(z.array(text)),
    }),
    receiptSchema,
  ),
  deleteWindow: route(
    'DELETE',
    '/api/windows/:window',
    z.object({ window: text, keepBlocks: queryFlag }),
    z.object({
      window: text,
      blocksDeleted: z.number(),
      bytesFreed: z.number(),
      /** Blocks that stay because another window has them too. */
      blocksKept: z.number(),
    }),
  ),
  verify: route(
    'POST',
    '/api/verify',
    /** `repair`: do what can be done about what is found, then look again. */
    z.object({ window: z.optional(text), repair: flag, ...onEngine }),
    /** `repairs`: what was done, in plain words. */
    z.object({ steps: z.array(verifyStepSchema), healthy: z.boolean(), repairs: z.array(text) }),
  ),

  pinWindow: route(
    'POST',
    '/api/windows/:window/pin',
    z.object({ window: text, pinned: z.boolean() }),
    z.object({ window: text, pinned: z.boolean() }),
  ),

  usage: route('GET', '/api/usage', nothing, usageSchema),
  prune: route(
    'POST',
    '/api/prune',
    z.object({
      /** Windows that were not used for so many days. */
      olderThanDays: z.optional(z.number()),
      /** All windows but the so many that were used last. With both, both must hold. */
      keep: z.optional(z.number()),
      /** Change nothing and answer what would go. */
      dryRun: flag,
    }),
    pruneResultSchema,
  ),
  listTrash: route('GET', '/api/trash', nothing, z.object({ items: z.array(trashItemSchema) })),
  restoreFromTrash: route('POST', '/api/trash/:item/restore', z.object({ item: text }), trashItemSchema),
  emptyTrash: route(
    'DELETE',
    '/api/trash',
    /** `all`: also what is in it for less than seven days. */
    z.object({ all: queryFlag }),
    z.object({ items: z.array(trashItemSchema), bytesFreed: z.number() }),
  ),

  /** Wherever a session's state is meant, `@` is the session that was activated last. */
  getState: route('GET', '/api/contexts/:session/tracker', z.object({ session: text }), sessionStateSchema),
  updateState: route(
    'POST',
    '/api/contexts/:session/tracker',
    z.object({
      session: text,
      /** One more than that of the state which it replaces. */
      version: z.number(),
      data: jsonObjectSchema,
      metadata: z.optional(jsonObjectSchema),
    }),
    sessionStateSchema,
  ),
  listRecoveryPoints: route(
    'GET',
    '/api/contexts/:session/tracker/points',
    z.object({ session: text }),
    /** `damaged`: ids of those that can't be read any more. */
    z.object({ items: z.array(recoveryPointSummarySchema), damaged: z.array(text) }),
  ),
  createRecoveryPoint: route(
    'POST',
    '/api/contexts/:session/tracker/points',
    z.object({ session: text }),
    recoveryPointSummarySchema,
  ),
  /** State and conversation. */
  restoreRecoveryPoint: route(
    'POST',
    '/api/contexts/:session/tracker/restore',
    z.extend(recoveryChoiceSchema, { session: text }),
    restoreResultSchema,
  ),
  syncState: route(
    'POST',
    '/api/contexts/:session/tracker/sync',
    z.object({
      session: text,
      /** Absolute path of the folder that has the other side. */
      folder: text,
      /** Default: `sync`. */
      direction: z.optional(z.enum(syncDirections)),
      /** Default: `manual`, which changes nothing when both sides were changed. */
      policy: z.optional(z.enum(conflictPolicies)),
    }),
    syncResultSchema,
  ),
  activeStates: route('GET', '/api/tracker/active', nothing, activeStatesSchema),
  activateState: route('POST', '/api/tracker/active', z.object({ session: text }), activeStatesSchema),
  deactivateState: route('DELETE', '/api/tracker/active', nothing, activeStatesSchema),

  activeSession: route(
    'GET',
    '/api/projects/active',
    z.object({ project: text }),
    z.object({ session: z.nullable(sessionSchema) }),
  ),
  activateSession: route(
    'POST',
    '/api/projects/active',
    z.object({ project: text, session: z.nullable(text) }),
    z.object({ session: z.nullable(sessionSchema) }),
  ),
} as const satisfies Record<string, Route>;

export type RouteName = keyof typeof routes;
/** What a client gives. */
export type RouteInput<Name extends RouteName> = z.input<(typeof routes)[Name]['input']>;
/** What the backend makes of it: numbers and flags are no longer strings. */
export type ParsedInput<Name extends RouteName> = z.output<(typeof routes)[Name]['input']>;
export type RouteOutput<Name extends RouteName> = z.output<(typeof routes)[Name]['output']>;
