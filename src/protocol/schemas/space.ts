import * as z from 'zod/mini';
import { usageGroups } from '../settings/usageGroups.ts';
import { projectUriSchema, windowNameSchema } from './ids.ts';
import { reuseTotalsSchema } from './window.ts';

const text = z.string();
const number = z.number();
const countLimit = z.object({ count: number, soft: number, hard: number });

/** KV of one window. `uniqueBytes` are in blocks that no other window has, `sharedBytes` in those that others have too. */
const windowKvUsageSchema = z.object({
  bytes: number,
  uniqueBytes: number,
  sharedBytes: number,
  /** Of the blocks that were recorded when it was last known to be good, those that are not there any more. */
  missingBlocks: number,
  /** `now`: files of the embedded engine, as they are. `recorded`: files of another engine, as they were then. */
  measured: z.enum(['now', 'recorded']),
});

const windowUsageSchema = z.object({
  name: windowNameSchema,
  pinned: z.boolean(),
  lastUsedAt: text,
  tokens: number,
  recordBytes: number,
  /** Null when no block files of the window were ever seen, or its KV record is damaged. */
  kv: z.nullable(windowKvUsageSchema),
});
export type WindowUsage = z.infer<typeof windowUsageSchema>;

const projectUsageSchema = z.object({
  /** Null: sessions of no project. */
  project: z.nullable(projectUriSchema),
  sessions: number,
  windows: number,
  recordBytes: number,
  /** In the embedded engine's store, automatic checkpoints too; what several windows share counts once. */
  kvBytes: number,
  /** With other model servers, as recorded. */
  elsewhereBytes: number,
  lastUsedAt: text,
});
export type ProjectUsage = z.infer<typeof projectUsageSchema>;

/** Where the space goes. Every number is the sum of sizes of files; what several windows share counts once. */
export const usageSchema = z.object({
  kv: z.object({
    /** All block files of the embedded engine: `windowBytes` and `looseBytes`. */
    bytes: number,
    /** How many blocks that is. An older backend leaves it out. */
    blocks: z.optional(number),
    windowBytes: number,
    /** Of `windowBytes`, those that no budget takes. */
    pinnedBytes: number,
    /** Blocks of no window: those of open sessions, and leftovers. */
    looseBytes: number,
    /** Null: there is none. */
    budgetBytes: z.nullable(number),
    /** Whether it counts files of other engines, too, and evicts them; else only blocks of the embedded one. An older backend leaves it out. */
    isBudgetOfAllEngines: z.optional(z.boolean()),
    /** Of windows and checkpoints on other engines, as recorded: not on this disk, or not ours to count. Not in `totalBytes`. */
    elsewhereBytes: number,
  }),
  recordBytes: number,
  trashBytes: number,
  quarantineBytes: number,
  /** Index, logs, generated models. */
  otherBytes: number,
  totalBytes: number,
  /** Null: there is none. */
  quotaBytes: z.nullable(number),
  /** Null: the system does not tell. */
  freeBytes: z.nullable(number),
  sessions: countLimit,
  windows: countLimit,
  /** Of the thaws of all windows that are there. */
  reuse: reuseTotalsSchema,
  /** Of every window that can be read, by name. */
  items: z.array(windowUsageSchema),
  /** What each project holds, the largest first. What projects share counts with each of them. An older backend leaves it out. */
  projects: z.optional(z.array(projectUsageSchema)),
});
export type Usage = z.infer<typeof usageSchema>;

export const pruneResultSchema = z.object({
  /** True: this is what would go. */
  dryRun: z.boolean(),
  /** Not used for the longest time first. They go to the trash, where their records stay until it is emptied. */
  windows: z.array(z.object({ name: windowNameSchema, lastUsedAt: text, tokens: number, recordBytes: number })),
  /** Files of KV blocks that no other window or session needs. */
  blocks: number,
  /** Bytes that are free at once. */
  bytesFreed: number,
  /** Bytes that go to the trash, and are free when it is emptied. */
  bytesToTrash: number,
  /** Of the windows, those whose KV is with another engine: it is asked to delete it, and what that frees is not counted. */
  elsewhere: number,
});
export type PruneResult = z.infer<typeof pruneResultSchema>;

/** A deleted item that can still be restored, unless its kind is `other`. */
export const trashItemSchema = z.object({
  id: text,
  kind: z.enum(['session', 'window', 'other']),
  name: text,
  deletedAt: text,
  /** Removed by the first start after this. */
  expiresAt: text,
  /** Bytes that its removal frees. */
  sizeBytes: number,
});
export type TrashItem = z.infer<typeof trashItemSchema>;

/** A model server whose KV of something deleted could not be deleted, and why. */
export const unreachedSchema = z.object({ engine: text, why: text });
export type Unreached = z.infer<typeof unreachedSchema>;

const tokenSumsSchema = z.object({
  requests: z.number(),
  /** Of `requests`, those whose model server did not say what they took: the sums lack them. */
  uncounted: z.number(),
  /** Null, here and below: no model server said it. */
  promptTokens: z.nullable(z.number()),
  /** Of the prompts, those that were reused. */
  cachedTokens: z.nullable(z.number()),
  /** Of the prompts, those that were computed. */
  computedTokens: z.nullable(z.number()),
  /** Of the prompts, those of which the model server does not say whether it reused them. */
  untoldTokens: z.number(),
  outputTokens: z.nullable(z.number()),
  /** In `currency`, of all tokens that were counted; null: one of the models has no price. */
  cost: z.nullable(z.number()),
});

/** Tokens of turns, in groups. */
export const tokenUsageSchema = z.object({
  by: z.enum(usageGroups),
  /** The label of the price table; null: it has none. */
  currency: z.nullable(z.string()),
  total: tokenSumsSchema,
  items: z.array(
    z.extend(tokenSumsSchema, {
      /** The session's id, the kind of client, the model's name, the day, the branch's name, or the id of the user's message. */
      name: z.string(),
      /** Of a session (null: it was deleted), or the first words of a turn. */
      title: z.optional(z.nullable(z.string())),
    }),
  ),
  /** How many groups there are. */
  count: z.number(),
  hasMore: z.boolean(),
  /** Of what is counted; null: nothing is. */
  firstDay: z.nullable(z.string()),
  /** Models without a price. */
  unpriced: z.array(z.string()),
  /** Where the price table is, or would be. */
  pricesFile: z.string(),
  /** What is wrong with the price table, in plain words. */
  notes: z.array(z.string()),
});
export type TokenUsage = z.infer<typeof tokenUsageSchema>;
export type TokenSums = TokenUsage['total'];

/** The records of a store as they were at one moment: before a migration, or before a backup was restored. */
export const backupSchema = z.object({
  id: text,
  /** Null: its record of that is missing or damaged, so that it cannot be restored. */
  format: z.nullable(number),
  createdAt: text,
  sessions: number,
  windows: number,
  /** Sum of its files; those that the store shares with it take their space once. */
  sizeBytes: number,
});
export type Backup = z.infer<typeof backupSchema>;
