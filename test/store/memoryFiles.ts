import { basename, dirname } from 'node:path';
import { sha256Hex } from '../../src/base/hash.ts';
import type { DirectoryEntry, Files, FileStat } from '../../src/store/disk/files.ts';

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

/** What the name stands for now; nothing when it is gone. */
interface NameChange {
  readonly directory: DirectoryNode;
  readonly name: string;
  readonly node: Node | undefined;
}

const systemError = (code: string, path: string): Error => Object.assign(new Error(`${code}: ${path}`), { code });

/**
 * A POSIX file system in memory that can lose its power. Strict where real ones are lenient: a name is lost unless its
 * directory was synced, whatever happened to the file.
 */
export class MemoryFiles implements Files {
  /** What is left on the disk, as a test sets it. */
  free: number | null = 1e12;
  freeInodes: number | null = null;
  #count = 0;
  /** Changes of names that a power cut may undo, oldest first. */
  #unsynced: NameChange[][] = [];
  readonly #root: DirectoryNode = this.#newDirectory();

  /**
   * Every name whose directory was not synced is gone, or back.
   *
   * @param reachedDisk asked for each change of names since: real disks write some of them all the same, in any order. A rename is
   *   one change, as file systems with a journal have it. Default: none.
   */
  cutPower(reachedDisk: () => boolean = () => false): void {
    for (const change of this.#unsynced.splice(0)) {
      if (!reachedDisk()) continue;
      for (const { directory, name, node } of change) {
        if (node) directory.durable.set(name, node);
        else directory.durable.delete(name);
      }
    }
    const visit = (directory: DirectoryNode): void => {
      directory.entries = new Map(directory.durable);
      for (const node of directory.entries.values()) if (node.kind === 'directory') visit(node);
    };
    this.#root.durable = new Map(this.#root.entries);
    visit(this.#root);
  }

  /** Another file system with the same in it, all of it on the disk. */
  copy(): MemoryFiles {
    const copied = new Map<Node, Node>();
    const copyOf = (node: Node): Node => {
      const known = copied.get(node);
      if (known) return known;
      const made: Node =
        node.kind === 'file' ? { ...node } : { ...node, entries: new Map(), durable: new Map<string, Node>() };
      copied.set(node, made);
      if (node.kind === 'directory' && made.kind === 'directory') fillFrom(node, made);
      return made;
    };
    const fillFrom = (from: DirectoryNode, to: DirectoryNode): void => {
      for (const [name, node] of from.entries) to.entries.set(name, copyOf(node));
      to.durable = new Map(to.entries);
    };
    const copy = new MemoryFiles();
    copy.free = this.free;
    copy.#count = this.#count;
    fillFrom(this.#root, copy.#root);
    return copy;
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

  freeFiles = async (): Promise<number | null> => this.freeInodes;

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
    this.#unsynced.push([this.#enter(path, node)]);
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
    const left = this.#leave(from);
    const entered = this.#enter(to, node);
    this.#unsynced.push([left, entered]);
    node.changed = ++this.#count;
  };

  link = async (from: string, to: string): Promise<void> => {
    const file = this.#file(from);
    if (this.#find(to)) throw systemError('EEXIST', to);
    this.#unsynced.push([this.#enter(to, file)]);
  };

  remove = async (path: string): Promise<void> => {
    this.#file(path);
    this.#unsynced.push([this.#leave(path)]);
  };

  removeTree = async (path: string): Promise<void> => {
    if (this.#find(path)) this.#unsynced.push([this.#leave(path)]);
  };

  makeDirectory = async (path: string): Promise<void> => {
    if (this.#find(path)) return;
    if (!this.#find(dirname(path))) await this.makeDirectory(dirname(path));
    this.#unsynced.push([this.#enter(path, this.#newDirectory())]);
  };

  syncDirectory = async (path: string): Promise<void> => {
    const directory = this.#directory(path);
    directory.durable = new Map(directory.entries);
    const isOpen = (change: NameChange): boolean => change.directory !== directory;
    this.#unsynced = this.#unsynced.map((change) => change.filter(isOpen)).filter((change) => change.length > 0);
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

  #enter(path: string, node: Node): NameChange {
    const directory = this.#directory(dirname(path));
    const replaced = directory.entries.get(basename(path));
    if (replaced?.kind === 'file') replaced.names--;
    directory.entries.set(basename(path), node);
    if (node.kind === 'file') node.names++;
    directory.changed = ++this.#count;
    return { directory, name: basename(path), node };
  }

  #leave(path: string): NameChange {
    const directory = this.#directory(dirname(path));
    const node = directory.entries.get(basename(path));
    if (node?.kind === 'file') node.names--;
    directory.entries.delete(basename(path));
    directory.changed = ++this.#count;
    return { directory, name: basename(path), node: undefined };
  }
}
