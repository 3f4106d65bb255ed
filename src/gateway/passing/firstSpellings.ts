import { LruCache } from './lruCache.ts';
import type { SessionId } from '../../protocol/ids.ts';
import { ownText } from '../formats/ownText.ts';
import type { ScratchIndex } from '../recognition/scratchIndex.ts';

export interface FirstSpelling {
  /** The message as it was sent first; null: only the model has written it until now. */
  readonly raw: string | null;
  /** What must be equal where the first spelling takes the place of another one. */
  readonly key: string;
  /** Arguments of the calls, as the model wrote them. Default: no calls. */
  readonly arguments?: readonly string[];
}

/** A message where it stands in a conversation, or the system prompt or the tools of that, in the form of a layout. */
export type SpellingId =
  | `${string} ${string} in ${SessionId}`
  | `${string} system of ${SessionId}`
  | `${string} tools of ${SessionId}`;

/** What became of the messages of a request, so that the next one, which begins with the same bytes, needs no look at each of them. */
export interface Beginning {
  /** How many parts it has. */
  readonly parts: number;
  /** Hash of their bytes, as the client wrote them. */
  readonly hash: string;
  /** What took the place of which of these, counted from the first one. */
  readonly healed: readonly { readonly at: number; readonly by: string }[];
}

/** So many of them at most are in memory: one for each conversation, and each branch of it, that had a request lately. */
const mostBeginnings = 1024;
/** Characters of what took the place of messages, in all beginnings. */
const mostHealed = 4 << 20;
/** Characters of system prompts and tools in memory. */
const mostHeads = 8 << 20;
/** Bytes of all spellings in the file. */
const mostBytes = 2 ** 30;

/**
 * What was said, in the bytes in which the model server saw it first. In memory are the system prompts and tools that were used last, and what
 * took the place of messages lately; the rest is in a file of this process. Without it, a message is sent as the client writes it.
 */
export class FirstSpellings {
  readonly #index: ScratchIndex;
  readonly #mostBytes: number;
  /** What is not in the file yet: it is written behind the request. */
  readonly #unwritten = new Map<SpellingId, FirstSpelling>();
  readonly #heads: LruCache<SpellingId, FirstSpelling>;
  readonly #beginnings = new LruCache<SpellingId, Beginning>(
    mostHealed,
    ({ healed }) => lengthOfAll(healed),
    mostBeginnings,
  );

  /** @param most bytes in the file; all are forgotten then. Default: 1 GiB. @param mostOfHeads characters in memory. Default: 8 Mi. */
  constructor(index: ScratchIndex, most = mostBytes, mostOfHeads = mostHeads) {
    this.#index = index;
    this.#mostBytes = most;
    this.#heads = new LruCache(mostOfHeads, ({ raw }) => 256 + (raw ?? '').length);
  }

  /** @throws what the system says. */
  of(id: SpellingId): FirstSpelling | undefined {
    const known = this.#unwritten.get(id) ?? (isOfHead(id) ? this.#heads.get(id) : undefined);
    if (known) return known;
    const value = this.#index.newest(id);
    if (value === null) return undefined;
    const first = JSON.parse(value) as FirstSpelling;
    if (isOfHead(id)) this.#heads.put(id, first);
    return first;
  }

  put(id: SpellingId, { raw, ...first }: FirstSpelling): void {
    const own = { ...first, raw: raw === null ? null : ownText(raw) };
    if (isOfHead(id)) this.#heads.put(id, own);
    if (this.#unwritten.size === 0) setImmediate(() => this.#write());
    this.#unwritten.set(id, own);
  }

  /** @param id of its last message. */
  beginning(id: SpellingId): Beginning | undefined {
    return this.#beginnings.get(id);
  }

  putBeginning(id: SpellingId, beginning: Beginning): void {
    this.#beginnings.put(id, beginning);
  }

  /** A spelling that cannot be written is forgotten. */
  #write(): void {
    const entries = [...this.#unwritten].map(([id, first]) => ({ keys: [id], value: JSON.stringify(first) }));
    this.#unwritten.clear();
    try {
      if (this.#index.bytes > this.#mostBytes) this.#index.clear();
      this.#index.add(entries);
    } catch {
      // The disk may be full.
    }
  }

  close(): void {
    this.#unwritten.clear();
    this.#index.close();
  }
}

const isOfHead = (id: SpellingId): boolean => / (system|tools) of /.test(id);

const lengthOfAll = (healed: Beginning['healed']): number => healed.reduce((sum, { by }) => sum + 64 + by.length, 0);
