import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  isMadePrivate,
  makeRunDirectory,
  runDirectories,
  type RunDirectorySystem,
} from '../../src/base/runDirectory.ts';

const me = 1000;
const other = 1001;

interface Entry {
  readonly uid: number;
  readonly mode: number;
  readonly kind: 'directory' | 'file' | 'link';
}

/** A file system in which a directory can be made only below `writable`, by the user who asks. */
class FakeDisk {
  readonly entries = new Map<string, Entry>();
  readonly refusesMode = new Set<string>();
  writable: readonly string[] = [];

  readonly files: RunDirectorySystem['files'] = {
    mkdirSync: (path, { mode }) => {
      if (this.entries.has(path)) return;
      if (!this.writable.some((base) => path.startsWith(base))) throw new Error(`EACCES: ${path}`);
      this.entries.set(path, { uid: me, mode, kind: 'directory' });
    },
    chmodSync: (path, mode) => {
      if (this.refusesMode.has(path)) throw new Error(`EPERM: ${path}`);
      this.entries.set(path, { ...this.#get(path), mode });
    },
    lstatSync: (path) => this.#stat(this.#get(path)),
    statSync: (path) => {
      const entry = this.entries.get(path);
      return entry && { isDirectory: () => entry.kind !== 'file' };
    },
  };

  add(path: string, kind: Entry['kind'] = 'directory', uid = 0, mode = 0o755): this {
    this.entries.set(path, { kind, uid, mode });
    return this;
  }

  #get(path: string): Entry {
    const entry = this.entries.get(path);
    if (!entry) throw new Error(`ENOENT: ${path}`);
    return entry;
  }

  #stat({ uid, mode, kind }: Entry) {
    return { uid, mode, isDirectory: () => kind === 'directory' };
  }
}

const systemOf = (disk: FakeDisk, changes: Partial<RunDirectorySystem> = {}): RunDirectorySystem => ({
  env: { XDG_RUNTIME_DIR: '/run/user/1000' },
  platform: 'linux',
  uid: me,
  temporary: '/var/tmp',
  files: disk.files,
  ...changes,
});

const everywhere = (): FakeDisk => new FakeDisk().add('/run/user/1000').add('/var/tmp').add('/tmp');
const basesOf = (paths: readonly string[]): string[] => paths.map((path) => path.slice(0, path.lastIndexOf('/cwm-')));

describe('run directories of a storage directory', () => {
  it("lie in the user's own run directory first, then among temporary files", () => {
    expect(basesOf(runDirectories('/store', systemOf(everywhere())))).toEqual(['/run/user/1000', '/var/tmp', '/tmp']);
  });

  it('leave out a place that is not there, is no directory, has no name, or was named before', () => {
    const disk = new FakeDisk().add('/run/user/1000', 'file').add('/tmp');
    expect(basesOf(runDirectories('/store', systemOf(disk)))).toEqual(['/tmp']);
    expect(basesOf(runDirectories('/store', systemOf(everywhere(), { env: {}, temporary: '/tmp' })))).toEqual(['/tmp']);
    expect(basesOf(runDirectories('/store', systemOf(everywhere(), { env: { XDG_RUNTIME_DIR: '' } })))).toEqual([
      '/var/tmp',
      '/tmp',
    ]);
  });

  it("on Windows are the user's temporary files alone", () => {
    const system = systemOf(everywhere(), { platform: 'win32', uid: undefined });
    expect(runDirectories('C:\\store', system)).toHaveLength(1);
    expect(basesOf(runDirectories('C:\\store', system))).toEqual(['/var/tmp']);
  });

  it('have the same name for the backend and its clients, and another for each storage directory and each user', () => {
    const nameFor = (storage: string, uid: number | undefined): string | undefined =>
      runDirectories(storage, systemOf(everywhere(), { uid }))[0];
    expect(nameFor('/store', me)).toBe(nameFor('/store', me));
    expect(nameFor('/store', me)).toMatch(/^\/run\/user\/1000\/cwm-1000-[0-9a-f]{16}$/);
    expect(nameFor('/store', undefined)).toMatch(/\/cwm-0-/);
    expect(new Set([nameFor('/store', me), nameFor('/other', me), nameFor('/store', other)]).size).toBe(3);
  });
});

describe('the run directory that is made', () => {
  it('is the first of them that this user can make, for this user alone', () => {
    const disk = everywhere();
    disk.writable = ['/tmp'];
    const made = makeRunDirectory('/store', systemOf(disk));
    expect(made).toBe(runDirectories('/store', systemOf(disk))[2]);
    expect(disk.entries.get(made ?? '')).toEqual({ uid: me, mode: 0o700, kind: 'directory' });
  });

  it('is none where nothing can be written', () => {
    expect(makeRunDirectory('/store', systemOf(everywhere()))).toBeNull();
  });

  it.each<[string, Entry['kind'], number]>([
    ['a directory of another user', 'directory', other],
    ['a link, which may lead anywhere', 'link', me],
    ['a file', 'file', me],
  ])('is never %s that lies in its place', (_, kind, uid) => {
    const disk = everywhere();
    disk.writable = ['/var/tmp'];
    const [first = '', second = ''] = runDirectories('/store', systemOf(disk));
    disk.add(first, kind, uid, 0o700);
    expect(makeRunDirectory('/store', systemOf(disk))).toBe(second);
  });

  it('is closed to other users when it was open to them, and not used when it cannot be closed', () => {
    const disk = everywhere();
    const path = join('/tmp', 'cwm-x');
    disk.add(path, 'directory', me, 0o755);
    expect(isMadePrivate(path, systemOf(disk))).toBe(true);
    expect(disk.entries.get(path)?.mode).toBe(0o700);
    disk.add(path, 'directory', me, 0o755).refusesMode.add(path);
    expect(isMadePrivate(path, systemOf(disk))).toBe(false);
  });
});
