import { open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../../base/clock.ts';
import { randomSalt, sha256Hex } from '../../../base/hash.ts';
import type { BlockLocation, KvContext } from '../../../core/ports/engine.ts';
import { isCwmError } from '../../../protocol/errors.ts';
import {
  assertBlockHash,
  checksumBlock,
  deleteBlock,
  statBlock,
  unlessUnreadable,
  type BlockLayout,
} from '../../files/blockFile.ts';
import { thinCheckpoints } from './slotCheckpoints.ts';
import { idsIn } from './slotFileIds.ts';
import { parseHandle, slotFileName, slotHash } from './slotHandle.ts';

/** With which the names of files begin that no record has yet. */
const draftMark = '0'.repeat(16);
/** Older ones are nobody's, in milliseconds. */
const draftLastsMs = 600_000;

const newTrialHash = (): string => sha256Hex('cwm slot probe\0', randomSalt());

/**
 * What became of a file that the server was asked to save: it appeared in the folder, the server has it elsewhere, or it saved none. `why` is in
 * plain words.
 */
export type FolderTrial =
  | { readonly kind: 'here' }
  | { readonly kind: 'elsewhere' | 'not-saved'; readonly why: string };

/** The server's `--slot-save-path`, where this machine reaches it. */
export class SlotFolder {
  readonly #directory: string | undefined;
  readonly #layout: BlockLayout;
  readonly #foundIn: string | null;
  readonly #kvOptions: string;
  /** When {@link #sweep} last looked, in milliseconds. */
  #sweptMs = -Infinity;
  /** A draft of the server did not appear in the folder. */
  #lacksDrafts = false;
  /** Why the folder is not used: nobody named it and no file of the server was seen in it yet, or one was saved and did not appear in it. */
  #doubt: string | null;
  #trialHash = newTrialHash();

  /**
   * @param foundIn where the client found it; null where the user named it. A folder that was found counts once {@link confirm} says so.
   * @param kvOptions start options of the server that decide what its KV is worth.
   */
  constructor(directory: string | undefined, foundIn: string | null = null, kvOptions = '') {
    this.#kvOptions = kvOptions;
    this.#directory = directory;
    this.#foundIn = foundIn;
    this.#doubt = this.#firstDoubt();
    this.#layout = {
      isLocal: false,
      candidates: async (hash) => (directory ? [{ label: hash, path: join(directory, slotFileName(hash)) }] : []),
    };
  }

  /** Why its files cannot be read, in plain words; null when they can. */
  async whyUnreachable(): Promise<string | null> {
    return (await this.#whyNotThere()) ?? this.#doubt;
  }

  /** Whether there is a folder to look into, be it the right one or not. */
  async canBeTried(): Promise<boolean> {
    return (await this.#whyNotThere()) === null;
  }

  async #whyNotThere(): Promise<string | null> {
    if (this.#directory === undefined) {
      return "The folder of llama-server's slot files is not known here: add #slots=DIR to the engine's URL.";
    }
    const isFolder = await stat(this.#directory).then(
      (entry) => entry.isDirectory(),
      () => false,
    );
    return isFolder ? null : `The folder ${this.#directory} is not there.`;
  }

  /** Whether it is not used until a file of the server appears in it. */
  get isInDoubt(): boolean {
    return this.#doubt !== null;
  }

  /** Where it was found, in words; null where the user named it. */
  get foundIn(): string | null {
    return this.#foundIn;
  }

  /** Another server may answer now. */
  doubt(): void {
    this.#lacksDrafts = false;
    this.#doubt = this.#firstDoubt();
  }

  /**
   * Has the server save a file under a name that nobody can guess, and looks whether it appears in the folder. The file is deleted. One that
   * the server saved elsewhere stays there, because no request deletes it; the next trial has the same name.
   *
   * @param save returns the size by the server's account, in bytes, or why it saved nothing.
   */
  async confirm(
    save: (fileName: string) => Promise<{ readonly sizeBytes: number } | { readonly why: string }>,
  ): Promise<FolderTrial> {
    const hash = this.#trialHash;
    const saved = await save(slotFileName(hash));
    if ('why' in saved || saved.sizeBytes === 0) {
      const why = 'why' in saved ? saved.why : 'The server was asked to save a slot, and saved nothing.';
      if (this.#foundIn !== null) this.#doubt = `${this.#described()} was not tried: ${why}`;
      return { kind: 'not-saved', why };
    }
    const problem = await this.#whyNotHere(hash, saved.sizeBytes);
    // One that stays changes no verdict, and its folder is the user's to set right.
    await deleteBlock(this.#layout, hash).catch(() => undefined);
    if (problem === null) this.#trialHash = newTrialHash();
    this.#doubt = problem && `${this.#described()} is not used: ${problem}`;
    return this.#doubt === null
      ? { kind: 'here' }
      : { kind: 'elsewhere', why: `${this.#doubt} The file is ${slotFileName(hash)}.` };
  }

  async #whyNotHere(hash: string, sizeBytes: number): Promise<string | null> {
    try {
      if ((await this.sizeBytes(hash)) === sizeBytes) return null;
      return 'a file that the server saved did not appear there.';
    } catch (error) {
      if (isCwmError(error, 'ReadFailed')) return error.message;
      throw error;
    }
  }

  #firstDoubt(): string | null {
    return this.#foundIn === null ? null : `${this.#described()} was not tried yet.`;
  }

  #described(): string {
    const where = this.#foundIn === null ? 'which #slots= names' : `found in ${this.#foundIn}`;
    return `The folder ${this.#directory}, ${where},`;
  }

  /**
   * The name of a context's file, for this server as it was started.
   *
   * @param tokens in the file, where these are not the tokens of the context. Another file of the same context may lie beside it.
   */
  hashOf(context: Pick<KvContext, 'ids' | 'salt'>, tokens?: number): string {
    return slotHash(context, this.#kvOptions, tokens);
  }

  /**
   * The name of a file that no record has yet; null where the server has such files elsewhere, and nobody would delete them. Now and then, those
   * that a process left which ended too early are deleted.
   */
  async newDraft(): Promise<string | null> {
    if (this.#lacksDrafts) return null;
    const nowMs = systemClock.elapsedMs();
    if (nowMs - this.#sweptMs > draftLastsMs) {
      this.#sweptMs = nowMs;
      await this.#sweep().catch(() => undefined);
    }
    return draftMark + sha256Hex('cwm slot draft\0', randomSalt()).slice(draftMark.length);
  }

  async #sweep(): Promise<void> {
    const directory = this.#directory ?? '';
    const names = await readdir(directory);
    for (const name of names.filter((each) => each.startsWith(`cwm-${draftMark}`))) {
      const { mtimeMs } = await stat(join(directory, name)).catch(() => ({ mtimeMs: Infinity }));
      // Another process may be about to record it.
      if (systemClock.now().getTime() - mtimeMs > draftLastsMs)
        await unlink(join(directory, name)).catch(() => undefined);
    }
  }

  /** Whether a draft that the server wrote is here. */
  async hasDraft(hash: string, sizeBytes: number): Promise<boolean> {
    this.#lacksDrafts = (await this.sizeBytes(hash)) !== sizeBytes;
    return !this.#lacksDrafts;
  }

  /** The file has its name from now on. @throws what the file system throws. */
  async rename(hash: string, to: string): Promise<void> {
    [hash, to].forEach(assertBlockHash);
    const directory = this.#directory ?? '';
    await rename(join(directory, slotFileName(hash)), join(directory, slotFileName(to)));
  }

  /** Why a file that a window names is not this server's. */
  get otherOptions(): string {
    const now = this.#kvOptions === '' ? 'none that decides what KV is worth' : this.#kvOptions;
    return `Its slot file was saved under other start options of llama-server, which has ${now} now.`;
  }

  /** The one file of a context, there or not. */
  async locate(context: KvContext): Promise<BlockLocation> {
    const why = await this.whyUnreachable();
    if (why !== null) return { reachable: false, why };
    const hash = this.hashOf(context, parseHandle(context.handle)?.tokens);
    return unlessUnreadable(this.#layout, async () => ({
      reachable: true,
      blocks: [{ hash, stat: await statBlock(this.#layout, hash) }],
    }));
  }

  async sizeBytes(hash: string): Promise<number | null> {
    return (await statBlock(this.#layout, hash))?.sizeBytes ?? null;
  }

  /** The token ids at the beginning of a file; null where it cannot be read, or has another form than is known here. */
  async idsOf(hash: string): Promise<readonly number[] | null> {
    if ((await this.whyUnreachable()) !== null || this.#directory === undefined) return null;
    try {
      await using file = await open(join(this.#directory, slotFileName(hash)), 'r');
      return await idsIn(file);
    } catch {
      return null;
    }
  }

  /**
   * Makes a file that the server just wrote no larger than it must be. What cannot be begun stays undone.
   *
   * @param tokens of the context in it. @returns its size in bytes; null where this machine does not reach it, or a disk that failed halfway spoilt it.
   */
  async shrink(hash: string, tokens: number): Promise<number | null> {
    if ((await this.whyUnreachable()) !== null || this.#directory === undefined) return null;
    return thinCheckpoints(join(this.#directory, slotFileName(hash)), tokens).catch(() => this.sizeBytes(hash));
  }

  /** @param isNew the files were just written, and are about to be recorded: they are on the disk before that. */
  async checksum(hashes: readonly string[], signal: AbortSignal, isNew = false): Promise<(string | null)[]> {
    hashes.forEach(assertBlockHash);
    const checksums: (string | null)[] = [];
    if (isNew) for (const hash of hashes) await this.#sync(hash);
    for (const hash of hashes) checksums.push(await checksumBlock(this.#layout, hash, 'bytes', signal));
    return checksums;
  }

  /** A folder that cannot do that, as on some network disks, has what the server gave it. */
  async #sync(hash: string): Promise<void> {
    if (this.#directory === undefined) return;
    try {
      await using file = await open(join(this.#directory, slotFileName(hash)), 'r');
      await file.sync();
    } catch {
      // Without the file, nothing is recorded.
    }
  }

  /** @returns the bytes that this freed. */
  async forget(hashes: readonly string[]): Promise<number> {
    hashes.forEach(assertBlockHash);
    let freedBytes = 0;
    for (const hash of new Set(hashes)) freedBytes += await deleteBlock(this.#layout, hash);
    return freedBytes;
  }
}
