import { join } from 'node:path';
import type { BlockLayout } from '../files/blockFile.ts';

/** The embedded engine's store: one folder for each model, `<blockDir>/<first two hex>/<hash>.kv`. */
export const embeddedLayout = (blockDir: string): BlockLayout => ({
  isLocal: true,
  candidates: async (hash) => [{ label: hash, path: join(blockDir, hash.slice(0, 2), `${hash}.kv`) }],
});
