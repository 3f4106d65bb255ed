import { join } from 'node:path';
import type { BlockLayout } from '../../files/blockFile.ts';
import { embeddedChecksum } from './embeddedChecksum.ts';

/**
 * The embedded engine's store: one folder for each model, `<blockDir>/<first two hex>/<hash>.kv`. A model whose state cannot be cut has
 * `<hash>.state` beside some blocks. The engine checks those files itself; here they are only deleted with their block.
 */
export const embeddedLayout = (blockDir: string): BlockLayout => ({
  isLocal: true,
  candidates: async (hash) => [{ label: hash, path: join(blockDir, hash.slice(0, 2), `${hash}.kv`) }],
  checksum: embeddedChecksum,
  companions: (hash) => [join(blockDir, hash.slice(0, 2), `${hash}.state`)],
});
