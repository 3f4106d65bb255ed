import { join } from 'node:path';
import * as z from 'zod/mini';
import { nullOn } from '../../protocol/errors.ts';
import { sessionSchema } from '../../protocol/schemas/session.ts';
import { windowManifestSchema } from '../../protocol/schemas/window.ts';
import type { SessionPaths } from '../disk/layout.ts';
import { hasDirectory, type StoreDisk } from '../disk/storeDisk.ts';

const namesTokens = z.pick(sessionSchema, { branches: true, tokens: true });
const checkpointNames = z.object({ manifest: z.pick(windowManifestSchema, { tokens: true }) });
const pointSchema = z.object({ conversation: namesTokens });

/** SHA-256s of all token ids that a session's record, its checkpoint and its recovery points name, the record's own first. */
export async function namedTokens({ files, records }: StoreDisk, paths: SessionPaths): Promise<string[]> {
  const owners: z.infer<typeof namesTokens>[] = [];
  const session = await nullOn(records.read(paths.metadata, namesTokens), 'Corrupted');
  if (session) owners.push(session);
  const checkpoint = await nullOn(records.read(paths.checkpoint, checkpointNames), 'Corrupted', 'UnsupportedSchema');
  if (checkpoint) owners.push({ branches: {}, tokens: checkpoint.manifest.tokens });
  if (await hasDirectory(files, paths.recovery)) {
    for (const name of await files.list(paths.recovery)) {
      if (!name.endsWith('.json')) continue;
      const point = await nullOn(
        records.read(join(paths.recovery, name), pointSchema),
        'Corrupted',
        'UnsupportedSchema',
      );
      if (point) owners.push(point.conversation);
    }
  }
  const all = owners.flatMap(({ tokens, branches }) => [tokens, ...Object.values(branches).map((each) => each.tokens)]);
  return [...new Set(all.flatMap((tokens) => (tokens ? [tokens.sha256] : [])))];
}
