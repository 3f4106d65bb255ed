import type { MemoryPage, Modality, PageKind, StorageTier } from '../../../protocol/memory/page.ts';
import { Tlb } from './tlb.ts';

/** What may change of a page. Its content does not. */
type PageChange = Partial<
  Pick<MemoryPage, 'tier' | 'tokens' | 'pinnedBy' | 'pinned' | 'accesses' | 'accessedAt' | 'represents' | 'importance'>
>;

interface PageTableStats {
  readonly total: number;
  readonly byTier: Readonly<Record<StorageTier, number>>;
  readonly byModality: Readonly<Record<Modality, number>>;
  readonly byKind: Readonly<Record<PageKind, number>>;
  /** Tokens of the pages in the prompt, of those that were counted. */
  readonly used: number;
  /** Pages in the prompt whose tokens nobody has counted. */
  readonly uncounted: number;
  readonly tlbHits: number;
  readonly tlbMisses: number;
}

type Index<Key extends string> = Map<Key, Map<string, MemoryPage>>;

/**
 * Where each page of a conversation is: whether the prompt has it, and how much of it. It is derived from the messages and from what memory
 * recorded, so that it is never stored and cannot be damaged; everything that asks for a page's place asks here.
 */
export class PageTable {
  readonly #entries = new Map<string, MemoryPage>();
  readonly #byTier: Index<StorageTier> = new Map();
  readonly #byModality: Index<Modality> = new Map();
  readonly #byKind: Index<PageKind> = new Map();
  /** By the page that is represented: those that represent it. */
  readonly #copies = new Map<string, Set<string>>();
  readonly #tlb = new Tlb<MemoryPage>();
  #used = 0;
  #uncounted = 0;

  /** Takes the place of an entry with the same id, so that its tokens count once (S1-41). */
  register(entry: MemoryPage): void {
    this.remove(entry.id);
    this.#entries.set(entry.id, entry);
    this.#index(entry);
  }

  /** Does not count as an access. */
  get(id: string): MemoryPage | null {
    return this.#entries.get(id) ?? null;
  }

  /**
   * The page that a name stands for.
   *
   * @param idOf looks for its id where the table does not remember the name; null: it is no page.
   */
  resolve(name: string, idOf: () => string | null): MemoryPage | null {
    const known = this.#tlb.get(name);
    if (known) return known;
    const id = idOf();
    const entry = id === null ? null : this.get(id);
    if (entry) this.#tlb.set(name, entry);
    return entry;
  }

  /** @returns the page as it is now; null: there is none with this id. */
  update(id: string, change: PageChange): MemoryPage | null {
    const before = this.#entries.get(id);
    if (!before) return null;
    const entry = { ...before, ...change };
    this.#unindex(before);
    this.#entries.set(id, entry);
    this.#index(entry);
    this.#tlb.invalidate(id);
    return entry;
  }

  remove(id: string): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    this.#unindex(entry);
    this.#entries.delete(id);
    this.#tlb.invalidate(id);
  }

  withTier(tier: StorageTier): readonly MemoryPage[] {
    return valuesOf(this.#byTier, tier);
  }

  /** All, in the order in which they were registered. */
  get entries(): readonly MemoryPage[] {
    return [...this.#entries.values()];
  }

  /** Tokens of the pages in the prompt, as far as they were counted. */
  get used(): number {
    return this.#used;
  }

  /** Tokens of the pages that a user pinned, as far as they were counted. */
  get pinnedTokens(): number {
    return this.entries.reduce((sum, { pinned, tokens }) => sum + (pinned ? (tokens ?? 0) : 0), 0);
  }

  /** Pages of the prompt that stand for this one, fullest first; the page itself, where the prompt has it whole. */
  inPromptAs(id: string): readonly { readonly page: MemoryPage; readonly level: MemoryPage['level'] }[] {
    const own = this.get(id);
    const copies = [...(this.#copies.get(id) ?? [])].flatMap((copy) => {
      const page = this.get(copy);
      const level = page?.represents.find((each) => each.page === id)?.level;
      return page?.tier === 'L0' && level !== undefined ? [{ page, level }] : [];
    });
    const all = own?.tier === 'L0' ? [{ page: own, level: own.level }, ...copies] : copies;
    return all.sort((a, b) => a.level - b.level);
  }

  get stats(): PageTableStats {
    const countOf = <Key extends string>(index: Index<Key>, key: Key): number => index.get(key)?.size ?? 0;
    const { hits: tlbHits, misses: tlbMisses } = this.#tlb;
    return {
      total: this.#entries.size,
      byTier: {
        L0: countOf(this.#byTier, 'L0'),
        L1: countOf(this.#byTier, 'L1'),
        L2: countOf(this.#byTier, 'L2'),
        L3: countOf(this.#byTier, 'L3'),
        L4: countOf(this.#byTier, 'L4'),
      },
      byModality: {
        text: countOf(this.#byModality, 'text'),
        image: countOf(this.#byModality, 'image'),
        audio: countOf(this.#byModality, 'audio'),
        video: countOf(this.#byModality, 'video'),
        structured: countOf(this.#byModality, 'structured'),
      },
      byKind: {
        transcript: countOf(this.#byKind, 'transcript'),
        summary: countOf(this.#byKind, 'summary'),
        artifact: countOf(this.#byKind, 'artifact'),
        claim: countOf(this.#byKind, 'claim'),
        procedure: countOf(this.#byKind, 'procedure'),
        index: countOf(this.#byKind, 'index'),
      },
      used: this.#used,
      uncounted: this.#uncounted,
      tlbHits,
      tlbMisses,
    };
  }

  #index(entry: MemoryPage): void {
    addTo(this.#byTier, entry.tier, entry);
    addTo(this.#byModality, entry.modality, entry);
    addTo(this.#byKind, entry.kind, entry);
    for (const { page } of entry.represents)
      this.#copies.set(page, (this.#copies.get(page) ?? new Set()).add(entry.id));
    this.#weigh(entry, 1);
  }

  #unindex(entry: MemoryPage): void {
    this.#byTier.get(entry.tier)?.delete(entry.id);
    this.#byModality.get(entry.modality)?.delete(entry.id);
    this.#byKind.get(entry.kind)?.delete(entry.id);
    for (const { page } of entry.represents) {
      const copies = this.#copies.get(page);
      copies?.delete(entry.id);
      if (copies?.size === 0) this.#copies.delete(page);
    }
    this.#weigh(entry, -1);
  }

  #weigh({ tier, tokens }: MemoryPage, sign: 1 | -1): void {
    if (tier !== 'L0') return;
    if (tokens === null) this.#uncounted += sign;
    else this.#used += sign * tokens;
  }
}

function addTo<Key extends string>(index: Index<Key>, key: Key, entry: MemoryPage): void {
  const entries = index.get(key) ?? new Map<string, MemoryPage>();
  index.set(key, entries.set(entry.id, entry));
}

const valuesOf = <Key extends string>(index: Index<Key>, key: Key): readonly MemoryPage[] => [
  ...(index.get(key)?.values() ?? []),
];
