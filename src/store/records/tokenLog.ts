import { createHash, type Hash } from 'node:crypto';
import * as z from 'zod/mini';
import { commonPrefixLength, decodeTokenIds, encodeTokenIds, TokenList } from '../../base/tokenIds.ts';
import { encodeLines } from '../disk/lines.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';

/**
 * One list of token ids, named by the SHA-256 of its bytes: the first `from` ids of an earlier list, and its own behind them. So a turn
 * writes only the ids that are new, and branches share what they have in common.
 */
const entrySchema = z.object({
  sha256: z.string(),
  /** Length of the whole list. */
  count: z.number(),
  /** SHA-256 of the list that it begins with; null: `ids` are all of it. */
  parent: z.nullable(z.string()),
  from: z.number(),
  /** As a `.u32` file has them, in base64. */
  ids: z.string(),
});
type Entry = z.infer<typeof entrySchema>;

/** A line of the log; its parent stands before it. */
interface Placed extends Entry {
  /** Line of the parent; null where that is damaged or missing. */
  readonly parentAt: number | null;
}

/** A list that is in memory, so that the next turn reads nothing. */
interface Recent {
  readonly sha256: string;
  readonly ids: TokenList;
  /** Over the bytes so far: more ids cost only themselves. */
  readonly hash: Hash;
  /** Of the file after the last look: another program's change shows. */
  readonly fingerprint: string;
}

/** Ids of all lists in memory together: about 5 bytes each. */
const mostRecentIds = 2_000_000;
const mostRecentLists = 100;
/** A log that is smaller is never rewritten. */
const smallLogBytes = 1024 * 1024;
const encodedBytesPerId = 5.4;

/** Token ids of each session, in an append-only file. Calls that change one file must come one after another. */
export class TokenLog {
  readonly #parts: StoreDisk;
  /** The list that was used last of each file; the file that was used last comes last. */
  readonly #recent = new Map<string, Recent>();
  /** Below this size no rewriting is worth its cost. */
  readonly #notBelow = new Map<string, number>();

  constructor(parts: StoreDisk) {
    this.#parts = parts;
  }

  /** The list that is in memory, where the file is the same as at the last look: nothing is read. Null: {@link load} it. */
  async known(path: string, sha256: string): Promise<TokenList | null> {
    const recent = this.#recent.get(path);
    if (recent?.sha256 !== sha256) return null;
    if ((await this.#parts.files.stat(path))?.fingerprint !== recent.fingerprint) return null;
    this.#remember(path, recent);
    return recent.ids;
  }

  /** Reads the file. Null when the list is not there, or a part of it is damaged. */
  async load(path: string, sha256: string): Promise<TokenList | null> {
    const fingerprint = (await this.#parts.files.stat(path))?.fingerprint ?? null;
    if (fingerprint === null) return null;
    const read = idsOf(await this.#entries(path), sha256);
    if (read === null) return null;
    const hash = createHash('sha256').update(encodeTokenIds(read));
    if (hash.copy().digest('hex') !== sha256) return null;
    const ids = TokenList.of(read);
    this.#remember(path, { sha256, ids, hash, fingerprint });
    return ids;
  }

  /**
   * Adds a list, as what it has more than the one that was used last.
   *
   * @param parts of the list, one behind the other.
   * @param before the list that it most likely continues.
   * @param live lists that a rewritten log must have.
   * @returns its SHA-256.
   */
  async save(
    path: string,
    parts: readonly (readonly number[])[],
    before: string | null,
    live: () => Promise<readonly string[]>,
  ): Promise<string> {
    const count = parts.reduce((sum, ids) => sum + ids.length, 0);
    await this.#shorten(path, count, live);
    const base = await this.#base(path, before);
    const shared = base ? base.ids.sharedWith(...parts) : 0;
    if (base && shared === count && shared === base.ids.length) return base.sha256;
    const own = behind(parts, shared);
    const bytes = encodeTokenIds(own);
    const continued = base && shared === base.ids.length ? base : null;
    const ids = continued ? continued.ids.followedBy(own) : TokenList.of(...parts);
    const hash = continued ? continued.hash.copy().update(bytes) : hashOf(parts);
    const sha256 = hash.copy().digest('hex');
    const parent = base && shared > 0 ? base.sha256 : null;
    await this.#parts.lines.append(path, [entryOf(sha256, count, parent, shared, bytes)]);
    const stat = await this.#parts.files.stat(path);
    this.#remember(path, { sha256, ids, hash, fingerprint: stat?.fingerprint ?? '' });
    return sha256;
  }

  /** SHA-256s of the lists that no other list begins with. */
  async lists(path: string): Promise<readonly string[]> {
    const entries = await this.#entries(path);
    const begun = new Set<number>();
    for (const { parentAt, from } of entries)
      if (parentAt !== null && entries[parentAt]?.count === from) begun.add(parentAt);
    return [...new Set(entries.flatMap(({ sha256 }, at) => (begun.has(at) ? [] : [sha256])))];
  }

  /** The bytes of a log with one list. */
  static encode(ids: readonly number[], sha256: string): Uint8Array {
    return encodeLines([entryOf(sha256, ids.length, null, 0, encodeTokenIds(ids))]);
  }

  /** The bytes of a log with several lists, by their SHA-256. */
  static encodeAll(lists: ReadonlyMap<string, readonly number[]>): Uint8Array {
    return encodeLines(Array.from(lists, ([sha256, ids]) => entryOf(sha256, ids.length, null, 0, encodeTokenIds(ids))));
  }

  forget(path: string): void {
    this.#recent.delete(path);
    this.#notBelow.delete(path);
    this.#parts.lines.forget(path);
  }

  async #base(path: string, before: string | null): Promise<Recent | null> {
    const recent = this.#recent.get(path);
    const fingerprint = (await this.#parts.files.stat(path))?.fingerprint ?? null;
    if (recent?.fingerprint === fingerprint) return recent;
    this.forget(path);
    if (before === null || fingerprint === null) return null;
    return (await this.load(path, before)) && (this.#recent.get(path) ?? null);
  }

  /** A line after a damaged one stays readable; a list whose beginning is damaged is not. */
  async #entries(path: string): Promise<readonly Placed[]> {
    const { values } = await this.#parts.lines.load(path, entrySchema);
    const at = new Map<string, number>();
    return values.map((entry, index) => {
      const parentAt = entry.parent === null ? null : (at.get(entry.parent) ?? null);
      at.set(entry.sha256, index);
      return { ...entry, parentAt };
    });
  }

  /** Rewrites a log that is mostly lists which nothing names any more. */
  async #shorten(path: string, idCount: number, live: () => Promise<readonly string[]>): Promise<void> {
    const sizeBytes = (await this.#parts.files.stat(path))?.sizeBytes ?? 0;
    const worthBytes = Math.max(smallLogBytes, 4 * encodedBytesPerId * idCount, this.#notBelow.get(path) ?? 0);
    if (sizeBytes <= worthBytes) return;
    const entries = await this.#entries(path);
    const kept: Entry[] = [];
    let last: { readonly sha256: string; readonly ids: readonly number[] } | null = null;
    for (const sha256 of new Set(await live())) {
      const ids = idsOf(entries, sha256);
      if (ids === null) continue;
      const shared: number = last ? commonPrefixLength(last.ids, ids) : 0;
      const parent: string | null = last && shared > 0 ? last.sha256 : null;
      kept.push(entryOf(sha256, ids.length, parent, shared, encodeTokenIds(ids.slice(shared))));
      last = { sha256, ids };
    }
    const wouldBe = encodeLines(kept).length;
    if (wouldBe > sizeBytes / 2) this.#notBelow.set(path, 2 * sizeBytes);
    else {
      await this.#parts.lines.replace(path, kept);
      this.forget(path);
    }
  }

  #remember(path: string, recent: Recent): void {
    this.#recent.delete(path);
    this.#recent.set(path, recent);
    let total = 0;
    for (const { ids } of this.#recent.values()) total += ids.length;
    for (const [other, { ids }] of this.#recent) {
      if ((total <= mostRecentIds && this.#recent.size <= mostRecentLists) || other === path) return;
      this.#recent.delete(other);
      total -= ids.length;
    }
  }
}

const entryOf = (sha256: string, count: number, parent: string | null, from: number, bytes: Uint8Array): Entry => ({
  sha256,
  count,
  parent,
  from,
  ids: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
});

/** Over all parts, one behind the other. */
function hashOf(parts: readonly (readonly number[])[]): Hash {
  const hash = createHash('sha256');
  for (const ids of parts) hash.update(encodeTokenIds(ids));
  return hash;
}

/** What stands behind so many ids. */
function behind(parts: readonly (readonly number[])[], from: number): readonly number[] {
  let at = 0;
  const left = parts.map((ids) => {
    const rest = ids.slice(Math.max(0, from - at));
    at += ids.length;
    return rest;
  });
  return left.flat();
}

function idsOf(entries: readonly Placed[], sha256: string): number[] | null {
  let entry = entries.findLast((each) => each.sha256 === sha256);
  const pieces: number[][] = [];
  let end = entry?.count ?? 0;
  while (entry) {
    const own = decodeOwn(entry);
    if (own === null) return null;
    if (end > entry.from) pieces.push(own.slice(0, end - entry.from));
    end = Math.min(end, entry.from);
    if (end === 0) return pieces.reverse().flat();
    entry = entry.parentAt === null ? undefined : entries[entry.parentAt];
  }
  return null;
}

function decodeOwn({ ids, from, count }: Entry): number[] | null {
  const bytes = Buffer.from(ids, 'base64');
  return bytes.length === (count - from) * 4 ? decodeTokenIds(bytes) : null;
}
