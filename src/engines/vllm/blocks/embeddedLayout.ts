import { join } from 'node:path';
import type { BlockLayout } from '../../files/blockFile.ts';
import type { embeddedKinds } from '../wire.ts';
import { embeddedChecksum } from './embeddedChecksum.ts';

export type EmbeddedKinds = (typeof embeddedKinds)[number];

/**
 * The embedded engine's store: one folder for each model, with `<blockDir>/<first two hex>/<hash>.kv` for the rows of a block. A model whose
 * state cannot be cut has `<hash>.state` beside some blocks. The engine checks those itself; here they are counted, and go with their
 * block. A recurrent model has no rows, so that its states are its block files.
 */
export function embeddedLayout(blockDir: string, kinds: EmbeddedKinds): BlockLayout {
  const pathOf = (hash: string, ending: 'kv' | 'state'): string =>
    join(blockDir, hash.slice(0, 2), `${hash}.${ending}`);
  const hasRows = kinds !== 'states';
  return {
    isLocal: true,
    candidates: async (hash) => [{ label: hash, path: pathOf(hash, hasRows ? 'kv' : 'state') }],
    checksum: embeddedChecksum,
    ...(kinds === 'rows and states' && { companions: (hash) => [pathOf(hash, 'state')] }),
    ...(!hasRows && { isSparse: true }),
  };
}
