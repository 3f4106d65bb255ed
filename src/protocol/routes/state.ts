import * as z from 'zod/mini';
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
} from '../schemas/tracker.ts';
import { nothing, route, text } from './route.ts';

export const stateRoutes = {
  /** In these routes `@` stands for the session that was selected last. */
  getState: route({
    kind: 'read',
    method: 'GET',
    path: '/api/contexts/:session/tracker',
    input: z.object({ session: text }),
    output: sessionStateSchema,
  }),
  updateState: route({
    kind: 'change',
    method: 'POST',
    path: '/api/contexts/:session/tracker',
    input: z.object({
      session: text,
      /** The stored state's version plus one. */
      version: z.number(),
      /** As in the state that it replaces; a session that was deleted and created again is then refused. Default: not compared. */
      sessionCreatedAt: z.optional(text),
      data: jsonObjectSchema,
      metadata: z.optional(jsonObjectSchema),
    }),
    output: sessionStateSchema,
  }),
  listRecoveryPoints: route({
    kind: 'read',
    method: 'GET',
    path: '/api/contexts/:session/tracker/points',
    input: z.object({ session: text }),
    /** `damaged`: ids of recovery points that cannot be read. */
    output: z.object({ items: z.array(recoveryPointSummarySchema), damaged: z.array(text) }),
  }),
  createRecoveryPoint: route({
    kind: 'change',
    method: 'POST',
    path: '/api/contexts/:session/tracker/points',
    input: z.object({ session: text }),
    output: recoveryPointSummarySchema,
  }),
  /** Goes back to a recovery point, state and conversation. */
  restoreRecoveryPoint: route({
    kind: 'change',
    method: 'POST',
    path: '/api/contexts/:session/tracker/restore',
    input: z.extend(recoveryChoiceSchema, { session: text }),
    output: restoreResultSchema,
  }),
  syncState: route({
    kind: 'change',
    method: 'POST',
    path: '/api/contexts/:session/tracker/sync',
    input: z.object({
      session: text,
      /** Absolute path of the folder with the other copy of the state. */
      folder: text,
      /** Default: `sync`. */
      direction: z.optional(z.enum(syncDirections)),
      /** Default: `manual`, which changes nothing when both copies were changed. */
      policy: z.optional(z.enum(conflictPolicies)),
    }),
    output: syncResultSchema,
  }),
  activeStates: route({
    kind: 'read',
    method: 'GET',
    path: '/api/tracker/active',
    input: nothing,
    output: activeStatesSchema,
  }),
  activateState: route({
    kind: 'change',
    method: 'POST',
    path: '/api/tracker/active',
    input: z.object({ session: text }),
    output: activeStatesSchema,
  }),
  deactivateState: route({
    kind: 'change',
    method: 'DELETE',
    path: '/api/tracker/active',
    input: nothing,
    output: activeStatesSchema,
  }),
};
