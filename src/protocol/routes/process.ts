import * as z from 'zod/mini';
import { auditReportSchema } from '../schemas/audit.ts';
import { capabilitiesSchema } from '../schemas/capabilities.ts';
import { discoverySchema } from '../schemas/discovery.ts';
import { engineStatusSchema, findingSchema, servedModelSchema } from '../schemas/health.ts';
import { nothing, onEngine, queryFlag, route, text } from './route.ts';

export const processRoutes = {
  health: route({
    kind: 'read',
    method: 'GET',
    path: '/api/health',
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
    }),
  }),
  doctor: route({
    kind: 'read',
    method: 'GET',
    path: '/api/doctor',
    input: z.object(onEngine),
    output: z.object({
      engine: engineStatusSchema,
      findings: z.array(findingSchema),
      /** Null when the engine did not answer. */
      capabilities: z.nullable(capabilitiesSchema),
    }),
  }),
  /** The models of a server, asked now. `used`: the one that its spec leads to. */
  listModels: route({
    kind: 'read',
    method: 'GET',
    path: '/api/models',
    input: z.object(onEngine),
    output: z.object({ engine: text, used: text, models: z.array(servedModelSchema), notices: z.array(text) }),
  }),
  /**
   * What this machine has that could be a model server: servers on loopback, model files of other programs. Asks no other machine.
   * `baseUrl`: `OPENAI_BASE_URL` of the client; its port is asked too when it is on loopback.
   */
  discover: route({
    kind: 'read',
    clients: 'own',
    method: 'GET',
    path: '/api/discovery',
    input: z.object({ baseUrl: z.optional(text) }),
    output: discoverySchema,
  }),
  /** Makes an engine the one of new sessions that name none, for this storage directory, until another is chosen. */
  useEngine: route({
    kind: 'change',
    clients: 'own',
    method: 'POST',
    path: '/api/engine',
    input: z.object({ engine: text }),
    output: z.object({ engine: text }),
  }),
  shutdown: route({
    kind: 'change',
    allowedReadOnly: true,
    unlimited: true,
    clients: 'own',
    method: 'POST',
    path: '/api/shutdown',
    input: nothing,
    output: nothing,
  }),
  /**
   * Makes room for a newer backend: nothing new is begun, and the backend ends when its running operations have. `running` is how many
   * there are.
   */
  retire: route({
    kind: 'change',
    allowedReadOnly: true,
    unlimited: true,
    method: 'POST',
    path: '/api/retire',
    input: nothing,
    output: z.object({ running: z.number() }),
  }),
  /** `known`: an entry that an earlier check printed, as `<sequence>:<hash>`. */
  verifyAudit: route({
    kind: 'read',
    method: 'GET',
    path: '/api/audit/verify',
    input: z.object({ known: z.optional(text) }),
    output: auditReportSchema,
  }),
  /** Whether the store is encrypted. `keyFile` and `keyId` are null when it is not. */
  encryption: route({
    kind: 'read',
    method: 'GET',
    path: '/api/encryption',
    input: nothing,
    output: z.object({ state: z.enum(['off', 'on']), keyId: z.nullable(text), keyFile: z.nullable(text) }),
  }),
};
