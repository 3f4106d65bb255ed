import type { Files } from '../../src/store/files.ts';

export type FaultKind =
  /** It fails before it does anything. */
  | 'before'
  /** Half of the bytes are written. */
  | 'torn'
  /** It is done, and says that it failed. */
  | 'after';

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

const systemError = (code: string): Error => Object.assign(new Error(`${code}: injected`), { code });

/** Passes everything on to other {@link Files}, until it is told to fail. */
export class FaultyFiles {
  readonly files: Files;
  /** Changes seen since {@link count} or {@link failAt}. */
  seen: Change[] = [];
  #fault: { at: number; kind: FaultKind; code: string } | null = null;
  #fullFrom: number | null = null;

  constructor(inner: Files) {
    const wrapped: Record<string, unknown> = { ...inner };
    for (const change of changes) {
      wrapped[change] = (path: string, second: string & Uint8Array) => this.#perform(inner, change, path, second);
    }
    this.files = wrapped as unknown as Files;
  }

  /** No more failures. */
  heal(): void {
    this.seen = [];
    this.#fault = null;
    this.#fullFrom = null;
  }

  /** The change with this number, from 0, fails; those after it work. */
  failAt(at: number, kind: FaultKind, code: string): void {
    this.heal();
    this.#fault = { at, kind, code };
  }

  /** From the change with this number on, the disk is full. */
  fillFrom(at: number): void {
    this.heal();
    this.#fullFrom = at;
  }

  async #perform(inner: Files, change: Change, path: string, second: string & Uint8Array): Promise<void> {
    const at = this.seen.push(change) - 1;
    const isFull = this.#fullFrom !== null && at >= this.#fullFrom && needRoom.has(change);
    const fault = isFull ? { at, kind: 'torn' as const, code: 'ENOSPC' } : this.#fault;
    const perform = inner[change] as (path: string, second: string | Uint8Array) => Promise<void>;
    if (fault?.at !== at) return perform(path, second);
    if (fault.kind === 'after') await perform(path, second);
    if (fault.kind === 'torn' && (change === 'create' || change === 'append')) {
      await perform(path, second.subarray(0, second.length / 2));
    }
    throw systemError(fault.code);
  }
}
