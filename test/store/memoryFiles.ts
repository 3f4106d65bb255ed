import { basename, dirname } from 'node:path';
import { sha256Hex } from '../../src/base/hash.ts';
import type { DirectoryEntry, Files, FileStat } from '../../src/store/files.ts';

interface FileNode {
  readonly kind: 'file';
  readonly inode: number;
  bytes: Uint8Array;
  changed: number;
  names: number;
}

interface DirectoryNode {
  readonly kind: 'directory';
  readonly inode: number;
  entries: Map<string, Node>;
  /** The names that a power cut leaves: those of the last sync. */
  durable: Map<string, Node>;
  changed: number;
}

type Node = FileNode | DirectoryNode;

const systemError = (code: string, path: string): Error => Object.assign(new Error(`${code}: ${path}`), { code });

/**
 * A POSIX file system in memory that can lose its power. Strict where real ones are lenient: a name is lost unless its
 * directory was synced, whatever happened to the file.
 */
export class MemoryFiles implements Files {
  /** What is left on the disk, as a test sets it. */
  free: number | null = 1e12;
  #count = 0;
  readonly #root: DirectoryNode = this.#newDirectory();

  /** Every name whose directory was not synced is gone, or back. */
  cutPower(): void {
    const visit = (directory: DirectoryNode): void => {
      directory.entries = new Map(directory.durable);
      for (const node of directory.entries.values()) if (node.kind === 'directory') visit(node);
    };
    this.#root.durable = new Map(this.#root.entries);
    visit(this.#root);
  }

  /** Every file below the directory with the SHA-256 of its content, but for the index image. */
  tree(path: string): Record<string, string> {
    const tree: Record<string, string> = {};
    const visit = (directory: DirectoryNode, prefix: string): void => {
      for (const [name, node] of directory.entries) {
        if (name === 'index.sqlite') continue;
        tree[prefix + name] = node.kind === 'file' ? sha256Hex(node.bytes) : 'directory';
        if (node.kind === 'directory') visit(node, `${prefix}${name}/`);
      }
    };
    visit(this.#directory(path), '');
    return tree;
  }

  list = async (directory: string): Promise<string[]> => [...this.#directory(directory).entries.keys()];

  entries = async (directory: string): Promise<DirectoryEntry[]> =>
    Array.from(this.#directory(directory).entries, ([name, node]) => ({
      name,
      kind: node.kind,
      sizeBytes: node.kind === 'file' ? node.bytes.length : 0,
      modifiedMs: node.changed,
      inode: String(node.inode),
      names: node.kind === 'file' ? node.names : 1,
    }));

  freeBytes = async (): Promise<number | null> => this.free;

  stat = async (path: string): Promise<FileStat | null> => {
    const node = this.#find(path);
    if (!node) return null;
    const sizeBytes = node.kind === 'file' ? node.bytes.length : 0;
    return { kind: node.kind, sizeBytes, fingerprint: `${node.inode}.${node.changed}`, isSettled: true };
  };

  realPath = async (path: string): Promise<string> => path;

  read = async (path: string): Promise<Uint8Array> => this.#file(path).bytes;

  create = async (path: string, bytes: Uint8Array): Promise<void> => {
    if (this.#find(path)) throw systemError('EEXIST', path);
    const node: FileNode = {
      kind: 'file',
      inode: ++this.#count,
      bytes: Uint8Array.from(bytes),
      changed: ++this.#count,
      names: 0,
    };
    this.#enter(path, node);
  };

  append = async (path: string, bytes: Uint8Array): Promise<void> => {
    if (!this.#find(path)) await this.create(path, new Uint8Array());
    const file = this.#file(path);
    file.bytes = Buffer.concat([file.bytes, bytes]);
    file.changed = ++this.#count;
  };

  truncate = async (path: string, sizeBytes: number): Promise<void> => {
    const file = this.#file(path);
    file.bytes = file.bytes.slice(0, sizeBytes);
    file.changed = ++this.#count;
  };

  rename = async (from: string, to: string): Promise<void> => {
    const node = this.#find(from);
    if (!node) throw systemError('ENOENT', from);
    const target = this.#find(to);
    if (target?.kind === 'directory' && target.entries.size > 0) throw systemError('ENOTEMPTY', to);
    if (target && target.kind !== node.kind) throw systemError('ENOTDIR', to);
    this.#leave(from);
    this.#enter(to, node);
    node.changed = ++this.#count;
  };

  link = async (from: string, to: string): Promise<void> => {
    const file = this.#file(from);
    if (this.#find(to)) throw systemError('EEXIST', to);
    this.#enter(to, file);
  };

  remove = async (path: string): Promise<void> => {
    this.#file(path);
    this.#leave(path);
  };

  removeTree = async (path: string): Promise<void> => {
    if (this.#find(path)) this.#leave(path);
  };

  makeDirectory = async (path: string): Promise<void> => {
    if (this.#find(path)) return;
    if (!this.#find(dirname(path))) await this.makeDirectory(dirname(path));
    this.#enter(path, this.#newDirectory());
  };

  syncDirectory = async (path: string): Promise<void> => {
    const directory = this.#directory(path);
    directory.durable = new Map(directory.entries);
  };

  #newDirectory(): DirectoryNode {
    return { kind: 'directory', inode: ++this.#count, entries: new Map(), durable: new Map(), changed: ++this.#count };
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const part of path.split('/').filter((part) => part !== '')) {
      node = node?.kind === 'directory' ? node.entries.get(part) : undefined;
    }
    return node;
  }

  #file(path: string): FileNode {
    const node = this.#find(path);
    if (!node) throw systemError('ENOENT', path);
    if (node.kind === 'directory') throw systemError('EISDIR', path);
    return node;
  }

  #directory(path: string): DirectoryNode {
    const node = this.#find(path);
    if (!node) throw systemError('ENOENT', path);
    if (node.kind === 'file') throw systemError('ENOTDIR', path);
    return node;
  }

  #enter(path: string, node: Node): void {
    const directory = this.#directory(dirname(path));
    const replaced = directory.entries.get(basename(path));
    if (replaced?.kind === 'file') replaced.names--;
    directory.entries.set(basename(path), node);
    if (node.kind === 'file') node.names++;
    directory.changed = ++this.#count;
  }

  #leave(path: string): void {
    const directory = this.#directory(dirname(path));
    const node = directory.entries.get(basename(path));
    if (node?.kind === 'file') node.names--;
    directory.entries.delete(basename(path));
    directory.changed = ++this.#count;
  }
}
