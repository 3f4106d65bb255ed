import * as z from 'zod/mini';
import { sessionIdSchema } from '../../protocol/schemas/ids.ts';
import { branchSchema, contextTokensSchema, sessionSchema } from '../../protocol/schemas/session.ts';
import { jsonObjectSchema, recoveryReasons, versionedStateSchema } from '../../protocol/schemas/tracker.ts';

const syncBaseSchema = z.object({ peer: z.string(), data: jsonObjectSchema, metadata: jsonObjectSchema });

/** `state/current.json` */
export const stateRecordSchema = z.extend(versionedStateSchema, {
  session: sessionIdSchema,
  base: z.nullable(syncBaseSchema),
});

/** `recovery/<sequence>-<id>.json` */
export const recoveryPointSchema = z.object({
  id: z.string(),
  session: sessionIdSchema,
  at: z.string(),
  reason: z.enum(recoveryReasons),
  state: versionedStateSchema,
  conversation: z.object({
    branches: z.record(z.string(), branchSchema),
    activeBranch: z.string(),
    tokens: z.nullable(contextTokensSchema),
  }),
});

/** `intents/restore-<session>.json` */
export const restoreIntentSchema = z.object({
  session: sessionSchema,
  state: z.nullable(z.omit(stateRecordSchema, { session: true })),
  fromVersion: z.nullable(z.number()),
});

/** `active.json` */
export const selectionRecordSchema = z.object({ active: z.array(sessionIdSchema) });
