import { join } from 'node:path';
import type { BlockCache, CachedBlock, CacheSizes } from '../../core/ports/blockCache.ts';
import { CwmError } from '../../protocol/errors.ts';
import { hasCode, type DirectoryEntry, type Files } from '../disk/files.ts';
import { storageError, type Access } from '../disk/storageError.ts';
import { hasDirectory } from '../disk/storeDisk.ts';
import { entriesIfThere } from './entriesIfThere.ts';
import { bytesBelow } from './storageSizes.ts';

const namespacePattern = /^[0-9a-f]{32}$/;
const folderPattern = /^[0-9a-f]{2}$/;
/** Rows of a block, or the state at its end of a model whose state cannot be cut. */
const blockPattern = /^([0-9a-f]{64})\.(kv|state)$/;

interface KnownFolder extends CacheSizes {
  readonly fingerprint: string;
}

/** {@link BlockCache} on the embedded engine's files, `<directory>/<32 hex>/<first two hex>/<hash>.kv` or `.state`. No link is followed. */
export class BlockFiles implements BlockCache {
  readonly #files: Files;
  readonly #directory: string;
  /**
   * Sizes of folders whose names have not changed since. The engine writes a block elsewhere and moves it in, so a new block changes
   * the names.
   */
  readonly #known = new Map<string, KnownFolder>();

  constructor(files: Files, directory: string) {
    this.#files = files;
    this.#directory = directory;
  }

  sizes(signal: AbortSignal): Promise<CacheSizes> {
    return this.#run('read', async () => {
      if (!(await hasDirectory(this.#files, this.#directory))) return { blockBytes: 0, otherBytes: 0 };
      let [blockBytes, otherBytes] = [0, 0];
      for (const entry of await entriesIfThere(this.#files, this.#directory)) {
        const path = join(this.#directory, entry.name);
        if (isNamespace(entry)) {
          const sizes = await this.#namespaceSizes(path, signal);
          blockBytes += sizes.blockBytes;
          otherBytes += sizes.otherBytes;
        } else otherBytes += await this.#sizeOf(entry, path, signal);
      }
      return { blockBytes, otherBytes };
    });
  }

  list(signal: AbortSignal): Promise<CachedBlock[]> {
    return this.#run('read', async () => {
      const blocks: CachedBlock[] = [];
      if (!(await hasDirectory(this.#files, this.#directory))) return blocks;
      for (const namespace of (await entriesIfThere(this.#files, this.#directory)).filter(isNamespace)) {
        const folders = (await entriesIfThere(this.#files, join(this.#directory, namespace.name))).filter(isFolder);
        for (const folder of folders) {
          signal.throwIfAborted();
          const entries = await entriesIfThere(this.#files, join(this.#directory, namespace.name, folder.name));
          for (const entry of entries) {
            const block = blockOf(entry);
            if (block === null) continue;
            const { sizeBytes, modifiedMs: writtenAtMs } = entry;
            blocks.push({ ...block, namespace: namespace.name, sizeBytes, writtenAtMs });
          }
        }
      }
      return blocks;
    });
  }

  delete(blocks: readonly CachedBlock[]): Promise<number> {
    return this.#run('write', async () => {
      let freedBytes = 0;
      for (const { hash, namespace, sizeBytes, isState } of blocks) {
        const name = `${hash}.${isState === true ? 'state' : 'kv'}`;
        if (!namespacePattern.test(namespace) || !blockPattern.test(name)) {
          throw new CwmError('InvalidParameter', 'A block is named by 64 hexadecimal digits, its namespace by 32.');
        }
        try {
          await this.#files.remove(join(this.#directory, namespace, hash.slice(0, 2), name));
          freedBytes += sizeBytes;
        } catch (error) {
          if (!hasCode(error, 'ENOENT', 'ENOTDIR')) throw error;
        }
      }
      return freedBytes;
    });
  }

  async #namespaceSizes(namespace: string, signal: AbortSignal): Promise<CacheSizes> {
    let [blockBytes, otherBytes] = [0, 0];
    for (const entry of await entriesIfThere(this.#files, namespace)) {
      const path = join(namespace, entry.name);
      if (isFolder(entry)) {
        signal.throwIfAborted();
        const sizes = await this.#folderSizes(path);
        blockBytes += sizes.blockBytes;
        otherBytes += sizes.otherBytes;
      } else otherBytes += await this.#sizeOf(entry, path, signal);
    }
    return { blockBytes, otherBytes };
  }

  async #folderSizes(path: string): Promise<CacheSizes> {
    // The fingerprint first: a change between the two reads makes the known size look old, never new.
    const stat = await this.#files.stat(path);
    const known = this.#known.get(path);
    if (stat && known?.fingerprint === stat.fingerprint) return known;
    let [blockBytes, otherBytes] = [0, 0];
    for (const entry of await entriesIfThere(this.#files, path)) {
      if (blockOf(entry) !== null) blockBytes += entry.sizeBytes;
      else if (entry.kind === 'file') otherBytes += entry.sizeBytes;
    }
    if (stat?.isSettled) this.#known.set(path, { fingerprint: stat.fingerprint, blockBytes, otherBytes });
    else this.#known.delete(path);
    return { blockBytes, otherBytes };
  }

  async #sizeOf(entry: DirectoryEntry, path: string, signal: AbortSignal): Promise<number> {
    if (entry.kind === 'directory') return bytesBelow(this.#files, path, new Set(), signal);
    return entry.kind === 'file' ? entry.sizeBytes : 0;
  }

  async #run<T>(access: Access, operation: () => Promise<T>): Promise<T> {
    try {
      return await operation();
    } catch (error) {
      throw storageError(error, access, this.#directory);
    }
  }
}

const isNamespace = ({ kind, name }: DirectoryEntry): boolean => kind === 'directory' && namespacePattern.test(name);
const isFolder = ({ kind, name }: DirectoryEntry): boolean => kind === 'directory' && folderPattern.test(name);

function blockOf({ kind, name }: DirectoryEntry): Pick<CachedBlock, 'hash' | 'isState'> | null {
  const [, hash, ending] = (kind === 'file' && blockPattern.exec(name)) || [];
  return hash === undefined ? null : { hash, ...(ending === 'state' && { isState: true }) };
}
