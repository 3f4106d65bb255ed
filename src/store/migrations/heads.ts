import { join } from 'node:path';
import * as z from 'zod/mini';
import { sessionPaths } from '../disk/layout.ts';
import { DamageError, openRecord } from '../disk/record.ts';
import { openTokens } from '../disk/tokenFile.ts';
import { TokenLog } from '../records/tokenLog.ts';
import type { Migration, MigrationContext } from './migration.ts';

const oldBranchSchema = z.looseObject({ name: z.string(), messageIds: z.array(z.string()) });
const conversationSchema = z.looseObject({ branches: z.record(z.string(), oldBranchSchema) });
const lineSchema = z.looseObject({ id: z.string() });

/**
 * From format 1, where a session's record lists all messages of each branch and a file has all its token ids, to format 2: a branch names
 * its last message, the index says which message each one follows, and token ids are a log.
 */
export const heads: Migration = {
  from: 1,
  to: 2,
  what: 'a turn writes only what is new: branches name their last message, and token ids are a log',
  async migrate(context) {
    for (const directory of await context.sessions()) await session(context, directory);
    for (const name of await context.files.list(context.layout.intents)) {
      if (!name.startsWith('restore-')) continue;
      await context.rewrite(join(context.layout.intents, name), (value) => {
        const intent = value as { readonly session: unknown };
        return { ...intent, session: withHeads(intent.session) };
      });
    }
  },
};

async function session(context: MigrationContext, directory: string): Promise<void> {
  const { files, writes } = context;
  const paths = sessionPaths(directory);
  const recovery = await namesIfThere(context, paths.recovery);
  const points = recovery.filter((name) => name.endsWith('.json')).map((name) => join(paths.recovery, name));
  const parents = new Map<string, string | null>();
  for (const path of [paths.metadata, ...points]) await collectParents(context, path, parents);
  await linkIndex(context, paths.messageIndex, parents);

  // Content before the records that name it, and the files that it came from last.
  const old: string[] = [];
  const logged = new Map<string, readonly number[]>();
  for (const folder of [directory, paths.recovery]) {
    for (const name of await namesIfThere(context, folder)) {
      const [, sha256] = /^tokens-([0-9a-f]{64})\.u32$/.exec(name) ?? [];
      if (sha256 === undefined) continue;
      old.push(join(folder, name));
      const ids = openTokens(await files.read(join(folder, name)), sha256);
      // Damaged ids are left out: the session's text needs none.
      if (ids !== null) logged.set(sha256, ids);
    }
  }
  if (logged.size > 0) await writes.replaceFile(paths.tokenLog, TokenLog.encodeAll(logged));
  for (const path of [paths.metadata, ...points]) {
    await context.rewrite(path, (value) => {
      const point = value as { readonly conversation?: unknown };
      return point.conversation === undefined
        ? withHeads(value)
        : { ...point, conversation: withHeads(point.conversation) };
    });
  }
  for (const path of old) await files.remove(path);
}

/** One that has been converted already stays as it is. */
function withHeads(value: unknown): unknown {
  const parsed = conversationSchema.safeParse(value);
  if (!parsed.success) return value;
  const branches = Object.entries(parsed.data.branches).map(([key, { messageIds, ...branch }]) => {
    return [key, { ...branch, head: messageIds.at(-1) ?? null, length: messageIds.length }];
  });
  return { ...parsed.data, branches: Object.fromEntries(branches) as unknown };
}

/** The order of a branch's list decides, not what a message's file says. */
async function collectParents(
  { writes }: MigrationContext,
  path: string,
  parents: Map<string, string | null>,
): Promise<void> {
  const bytes = await writes.readIfThere(path);
  if (bytes === null) return;
  let value: unknown;
  try {
    ({ value } = openRecord(bytes));
  } catch (error) {
    // The next reader sets it aside and reports it.
    if (!(error instanceof DamageError)) throw error;
    return;
  }
  const parsed = conversationSchema.safeParse((value as { readonly conversation?: unknown }).conversation ?? value);
  for (const { messageIds } of parsed.success ? Object.values(parsed.data.branches) : []) {
    messageIds.forEach((id, index) => {
      if (!parents.has(id)) parents.set(id, messageIds[index - 1] ?? null);
    });
  }
}

async function linkIndex(
  { lines }: MigrationContext,
  path: string,
  parents: ReadonlyMap<string, string | null>,
): Promise<void> {
  const { values } = await lines.load(path, lineSchema);
  const linked = values.map((line) =>
    'parentId' in line ? line : { ...line, parentId: parents.get(line.id) ?? null },
  );
  if (values.some((line) => !('parentId' in line))) await lines.replace(path, linked);
  lines.forget(path);
}

const namesIfThere = async ({ files }: MigrationContext, directory: string): Promise<string[]> =>
  (await files.stat(directory))?.kind === 'directory' ? files.list(directory) : [];
