import * as z from 'zod/mini';
import {
  selectedSessionsSchema,
  jsonObjectSchema,
  recoveryChoiceSchema,
  recoveryPointSummarySchema,
  restoreResultSchema,
  sessionStateSchema,
  syncDirections,
  syncResultSchema,
} from '../schemas/tracker.ts';
import { nothing, text } from './fields.ts';
import type { Route, ShapesOf } from './route.ts';

export const stateRoutes = {
  /** In these routes `@` stands for the session that was selected last. */
  getState: { kind: 'read', method: 'GET', path: '/api/contexts/:session/tracker' },
  updateState: { kind: 'change', method: 'POST', path: '/api/contexts/:session/tracker' },
  listRecoveryPoints: { kind: 'read', method: 'GET', path: '/api/contexts/:session/tracker/points' },
  createRecoveryPoint: {
    kind: 'change',
    creates: true,
    method: 'POST',
    path: '/api/contexts/:session/tracker/points',
  },
  /** Goes back to a recovery point, state and conversation. */
  restoreRecoveryPoint: { kind: 'change', method: 'POST', path: '/api/contexts/:session/tracker/restore' },
  /** It reads and writes in any folder of the user's. */
  syncState: { kind: 'change', clients: 'socket', method: 'POST', path: '/api/contexts/:session/tracker/sync' },
  selectedSessions: { kind: 'read', method: 'GET', path: '/api/tracker/active' },
  selectSession: { kind: 'change', method: 'POST', path: '/api/tracker/active' },
  deselectSession: { kind: 'change', method: 'DELETE', path: '/api/tracker/active' },
} as const satisfies Record<string, Route>;

export const stateShapes = () =>
  ({
    getState: {
      summary: "A session's state",
      input: z.object({ session: text }),
      output: sessionStateSchema,
    },
    updateState: {
      summary: "Replace a session's state, if the version is one more",
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
    },
    listRecoveryPoints: {
      summary: 'List the recovery points of a session',
      input: z.object({ session: text }),
      /** `damaged`: ids of recovery points that cannot be read. */
      output: z.object({ items: z.array(recoveryPointSummarySchema), damaged: z.array(text) }),
    },
    createRecoveryPoint: {
      summary: 'Create a recovery point',
      input: z.object({ session: text }),
      output: recoveryPointSummarySchema,
    },
    restoreRecoveryPoint: {
      summary: 'Go back to a recovery point',
      input: z.extend(recoveryChoiceSchema, { session: text }),
      output: restoreResultSchema,
    },
    syncState: {
      summary: "Synchronise a session's state with a folder",
      input: z.object({
        session: text,
        /** Absolute path of the folder with the other copy of the state. */
        folder: text,
        /** Default: `sync`. */
        direction: z.optional(z.enum(syncDirections)),
        /** Default: `manual`, which changes nothing when both copies were changed. */
        /** `keep-latest`, `keep-oldest`, `merge` or `manual`, which is the default; or one that the program which built the core added. */
        policy: z.optional(z.string().check(z.minLength(1), z.maxLength(64))),
      }),
      output: syncResultSchema,
    },
    selectedSessions: {
      summary: 'The selected sessions',
      input: nothing,
      output: selectedSessionsSchema,
    },
    selectSession: {
      summary: 'Select a session',
      input: z.object({ session: text }),
      output: selectedSessionsSchema,
    },
    deselectSession: {
      summary: 'Deselect the last selected session',
      input: nothing,
      output: selectedSessionsSchema,
    },
  }) as const satisfies ShapesOf<typeof stateRoutes>;
