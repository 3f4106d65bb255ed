import * as z from 'zod/mini';
import { auditReportSchema } from '../schemas/audit.ts';
import { capabilitiesSchema } from '../schemas/capabilities.ts';
import { discoverySchema } from '../schemas/discovery.ts';
import { engineStatusSchema, findingSchema, servedModelSchema } from '../schemas/health.ts';
import { backupSchema, tokenUsageSchema } from '../schemas/space.ts';
import { usageGroups } from '../settings/usageGroups.ts';
import { nothing, onEngine, page, queryFlag, text } from './fields.ts';
import { projectConfigSchema } from '../schemas/projectConfig.ts';
import type { Route, ShapesOf } from './route.ts';

export const processRoutes = {
  health: { kind: 'read', method: 'GET', path: '/api/health' },
  doctor: { kind: 'read', method: 'GET', path: '/api/doctor' },
  /** The models of a server, asked now. `used`: the one that its spec leads to. */
  listModels: { kind: 'read', method: 'GET', path: '/api/models' },
  /**
   * What this machine has that could be a model server: servers on loopback, model files of other programs. Asks no other machine.
   * `baseUrl`: `OPENAI_BASE_URL` of the client; its port is asked too when it is on loopback.
   */
  discover: { kind: 'read', clients: 'own', method: 'GET', path: '/api/discovery' },
  /**
   * The files below a folder that git does not ignore, for a person to choose context from; links are left out. `complete` is false
   * when there are more than the 5,000 that are listed.
   */
  listFiles: { kind: 'read', clients: 'own', method: 'GET', path: '/api/files' },
  /** The nearest `.cwm/config.json` of a folder, upwards for 20 levels; null where there is none. A bad one is an error. */
  projectConfig: { kind: 'read', clients: 'own', method: 'GET', path: '/api/projects/config' },
  /** Makes an engine the one of new sessions that name none, for this storage directory, until another is chosen. */
  useEngine: { kind: 'change', clients: 'own', method: 'POST', path: '/api/engine' },
  shutdown: {
    kind: 'change',
    allowedReadOnly: true,
    unlimited: true,
    clients: 'own',
    method: 'POST',
    path: '/api/shutdown',
  },
  /**
   * Makes room for a newer backend: nothing new is begun, and the backend ends when its running operations have. `running` is how many
   * there are.
   */
  retire: {
    kind: 'change',
    clients: 'socket',
    allowedReadOnly: true,
    unlimited: true,
    method: 'POST',
    path: '/api/retire',
  },
  /** `known`: an entry that an earlier check printed, as `<sequence>:<hash>`. */
  verifyAudit: { kind: 'read', method: 'GET', path: '/api/audit/verify' },
  /** Whether the store is encrypted. `keyFile` and `keyId` are null when it is not. */
  encryption: { kind: 'read', method: 'GET', path: '/api/encryption' },
  /** Backups of the records, latest first. `restored`: the one that this backend restored when it started, which `cwm backup restore` asks for. */
  listBackups: { kind: 'read', method: 'GET', path: '/api/backups' },
  /** Tokens that turns took, and what they cost by the user's own prices (`prices.json` in the storage directory). */
  tokenUsage: { kind: 'read', method: 'GET', path: '/api/usage/tokens' },
  /** Every figure of the backend, with what is worth a look. */
  metrics: { kind: 'read', method: 'GET', path: '/api/metrics' },
  /** The same figures for Prometheus. */
  prometheus: {
    kind: 'read',
    answersText: 'text/plain; version=0.0.4; charset=utf-8',
    method: 'GET',
    path: '/metrics',
  },
  /** Whether the process answers at all. */
  live: { kind: 'read', method: 'GET', path: '/api/health/live' },
  /** Whether requests can be answered: the store can be read, and the backend begins new work. Else BackendUnavailable. */
  ready: { kind: 'read', method: 'GET', path: '/api/health/ready' },
  /** The API as an OpenAPI 3.1 document. */
  openApi: { kind: 'read', method: 'GET', path: '/api/openapi.json' },
} as const satisfies Record<string, Route>;

export const processShapes = () =>
  ({
    health: {
      summary: 'Whether the backend works, and the state of each model server in use',
      /** `probe`: ask the engines before answering, for at most five seconds, instead of reporting their last known state. */
      input: z.object({ probe: queryFlag }),
      output: z.object({
        status: z.enum(['healthy', 'degraded', 'unhealthy']),
        version: text,
        /** Versions of the control API that it answers. */
        api: z.optional(z.object({ current: z.number(), oldest: z.number() })),
        pid: z.number(),
        storage: text,
        uptimeSeconds: z.number(),
        sessions: z.number(),
        windows: z.number(),
        engines: z.array(engineStatusSchema),
        /** The model server of sessions that name none. */
        defaultEngine: text,
        /** Each part by itself: the store, and each model server in use. A part that says nothing within five seconds counts as failed. */
        components: z.optional(
          z.array(
            z.object({
              name: text,
              status: z.enum(['healthy', 'degraded', 'unhealthy']),
              message: text,
              /** Null: it was not asked now. */
              latencyMs: z.nullable(z.number()),
            }),
          ),
        ),
      }),
    },
    doctor: {
      summary: 'What the model server can do, and what to change',
      input: z.object(onEngine),
      output: z.object({
        engine: engineStatusSchema,
        findings: z.array(findingSchema),
        /** Null when the engine did not answer. */
        capabilities: z.nullable(capabilitiesSchema),
      }),
    },
    listModels: {
      summary: 'The models of a server, and which of them is used',
      input: z.object(onEngine),
      output: z.object({ engine: text, used: text, models: z.array(servedModelSchema), notices: z.array(text) }),
    },
    discover: {
      summary: 'Model servers on loopback, and model files of other programs',
      input: z.object({ baseUrl: z.optional(text) }),
      output: discoverySchema,
    },
    listFiles: {
      summary: 'Files below a folder that neither git nor the caller leaves out',
      /** `exclude`: rules in the form of a `.gitignore` in the folder, for what else is left out. */
      input: z.object({ folder: text, exclude: z.optional(text) }),
      /** `files` are relative to the folder, with `/` between their parts. */
      output: z.object({ files: z.array(text), complete: z.boolean() }),
    },
    projectConfig: {
      summary: 'The nearest .cwm/config.json of a folder, upwards',
      input: z.object({ folder: text }),
      output: z.object({ folder: text, path: z.nullable(text), config: z.nullable(projectConfigSchema) }),
    },
    useEngine: {
      summary: 'Choose the model server of new sessions that name none',
      input: z.object({ engine: text }),
      output: z.object({ engine: text }),
    },
    shutdown: {
      summary: 'End the backend',
      input: nothing,
      output: z.object({ /** The process that ends. */ pid: z.number() }),
    },
    retire: {
      summary: 'Begin nothing new, and end after the last operation',
      input: nothing,
      output: z.object({ running: z.number() }),
    },
    verifyAudit: {
      summary: 'Check the audit log, and name changed entries',
      input: z.object({ known: z.optional(text) }),
      output: auditReportSchema,
    },
    encryption: {
      summary: 'Whether the store is encrypted, and where its key is',
      input: nothing,
      output: z.object({ state: z.enum(['off', 'on']), keyId: z.nullable(text), keyFile: z.nullable(text) }),
    },
    listBackups: {
      summary: 'Backups of all records, from before a migration or a restore',
      input: nothing,
      output: z.object({ items: z.array(backupSchema), restored: z.nullable(text) }),
    },
    tokenUsage: {
      summary: 'Tokens that turns took, and what they cost by your prices',
      input: z.object({
        /** What the groups are of; default `model`. */
        by: z.optional(z.enum(usageGroups)),
        /** First and last day, in the time zone of the backend's machine, like `2026-03-09`. Default: all. */
        from: z.optional(text),
        to: z.optional(text),
        /** Only of this session; branches and turns need one. */
        session: z.optional(text),
        ...page,
      }),
      output: tokenUsageSchema,
    },
    metrics: {
      summary: 'Every figure of the backend, and what is worth a look',
      input: nothing,
      output: z.object({
        /** The registry: what Prometheus gets, too. */
        metrics: z.array(
          z.object({
            name: text,
            help: text,
            type: text,
            values: z.array(z.object({ name: text, labels: z.record(z.string(), text), value: z.number() })),
          }),
        ),
        /** Turns that reused KV, over restarts. `hitRate` is null before the first one. */
        turns: z.object({
          hits: z.number(),
          misses: z.number(),
          /** The model server does not say. */
          unknown: z.number(),
          hitRate: z.nullable(z.number()),
        }),
        /** What the caches came to (S0-14). Null is not known, never 0. */
        cache: z.object({
          kv: z.object({ totalBlocks: z.nullable(z.number()), totalBytes: z.nullable(z.number()) }),
          engines: z.array(
            z.object({
              kind: text,
              connected: z.boolean(),
              cachedTokens: z.nullable(z.number()),
              /** Of the tokens whose reuse the server tells: the share that it reused. */
              hitRate: z.nullable(z.number()),
            }),
          ),
        }),
        /** At most a minute old; null: it could not be measured. */
        space: z.nullable(
          z.object({
            tiers: z.record(z.string(), z.number()),
            /** Blocks of KV on this disk. */
            kvBlocks: z.nullable(z.number()),
            totalBytes: z.number(),
            quotaBytes: z.nullable(z.number()),
            freeBytes: z.nullable(z.number()),
          }),
        ),
        /** `value` and `level` are null where the figure is not known. */
        alerts: z.array(
          z.object({
            name: text,
            what: text,
            value: z.nullable(z.number()),
            level: z.nullable(z.enum(['ok', 'warning', 'critical'])),
            warningAt: z.number(),
            criticalAt: z.number(),
          }),
        ),
      }),
    },
    prometheus: {
      summary: 'The figures for Prometheus',
      input: nothing,
      output: z.object({ text }),
    },
    live: {
      summary: 'Whether the process answers at all',
      input: nothing,
      output: z.object({ alive: z.boolean() }),
    },
    ready: {
      summary: 'Whether requests can be answered',
      input: nothing,
      output: z.object({ ready: z.boolean() }),
    },
    openApi: {
      summary: 'This document',
      input: nothing,
      output: z.looseObject({ openapi: text }),
    },
  }) as const satisfies ShapesOf<typeof processRoutes>;
