import type { Files } from '../../src/store/disk/files.ts';

export type FaultKind =
  /** It fails before it does anything. */
  | 'before'
  /** Half of the bytes are written. */
  | 'torn'
  /** It is done, and says that it failed; a change of names, which is atomic, fails before. */
  | 'after';

const looks = [
  'list',
  'entries',
  'freeBytes',
  'freeFiles',
  'stat',
  'realPath',
  'read',
] as const satisfies readonly (keyof Files)[];
const changes = [
  'create',
  'append',
  'truncate',
  'rename',
  'link',
  'remove',
  'removeTree',
  'makeDirectory',
  'syncDirectory',
] as const satisfies readonly (keyof Files)[];
type Change = (typeof changes)[number];

/** What needs room on the disk: all the rest works when it is full. */
const needRoom: ReadonlySet<Change> = new Set(['create', 'append', 'link', 'makeDirectory']);

/** What has an end of its own that can fail, its fsync. */
const endLate: ReadonlySet<Change> = new Set(['create', 'append', 'truncate', 'syncDirectory']);

const systemError = (code: string): Error => Object.assign(new Error(`${code}: injected`), { code });

/** Passes everything on to other {@link Files}, until it is told to fail. */
export class FaultyFiles {
  readonly files: Files;
  /** Changes seen since the last call of another method. */
  seen: Change[] = [];
  /** Reads that failed. */
  refusedReads = 0;
  #unreadable: { path: string; code: string } | null = null;
  #fault: { at: number; kind: FaultKind; code: string } | null = null;
  #fullFrom: number | null = null;
  #diedAt: number | null = null;

  constructor(inner: Files) {
    const wrapped: Record<string, unknown> = {};
    for (const look of looks) wrapped[look] = (path: string) => inner[look](path);
    wrapped['read'] = async (path: string) => {
      if (path !== this.#unreadable?.path) return inner.read(path);
      this.refusedReads++;
      throw systemError(this.#unreadable.code);
    };
    for (const change of changes) {
      wrapped[change] = (path: string, second: string & Uint8Array) => this.#perform(inner, change, path, second);
    }
    this.files = wrapped as unknown as Files;
  }

  /** No more failures. */
  heal(): void {
    this.seen = [];
    this.#unreadable = null;
    this.#fault = null;
    this.#fullFrom = null;
    this.#diedAt = null;
  }

  /** Every read of this file fails. */
  failReading(path: string, code: string): void {
    this.heal();
    this.#unreadable = { path, code };
  }

  /** The change with this number, from 0, fails; those after it work. */
  failAt(at: number, kind: FaultKind, code: string): void {
    this.heal();
    this.#fault = { at, kind, code };
  }

  /** The change with this number is the last: it fails, and so does all that follows. */
  dieAt(at: number, kind: FaultKind): void {
    this.failAt(at, kind, 'EIO');
    this.#diedAt = at;
  }

  /** From the change with this number on, the disk is full. */
  fillFrom(at: number): void {
    this.heal();
    this.#fullFrom = at;
  }

  async #perform(inner: Files, change: Change, path: string, second: string & Uint8Array): Promise<void> {
    const at = this.seen.push(change) - 1;
    if (this.#diedAt !== null && at > this.#diedAt) throw systemError('EIO');
    const isFull = this.#fullFrom !== null && at >= this.#fullFrom && needRoom.has(change);
    const fault = isFull ? { at, kind: 'torn' as const, code: 'ENOSPC' } : this.#fault;
    const perform = inner[change] as (path: string, second: string | Uint8Array) => Promise<void>;
    if (fault?.at !== at) return perform(path, second);
    if (fault.kind === 'after' && endLate.has(change)) await perform(path, second);
    if (fault.kind === 'torn' && (change === 'create' || change === 'append')) {
      await perform(path, second.subarray(0, second.length / 2));
    }
    throw systemError(fault.code);
  }
}
