/** Names that are remembered (S1-33). */
const mostNames = 512;

/** Which entry a name stands for, as it was looked up last. The least recently used name is forgotten first. */
export class Tlb<Entry extends { readonly id: string }> {
  /** The name that was used last comes last. */
  readonly #entries = new Map<string, Entry>();
  readonly #namesOf = new Map<string, Set<string>>();
  hits = 0;
  misses = 0;

  get(name: string): Entry | null {
    const entry = this.#entries.get(name);
    if (!entry) {
      this.misses++;
      return null;
    }
    this.hits++;
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    return entry;
  }

  set(name: string, entry: Entry): void {
    this.#delete(name);
    this.#entries.set(name, entry);
    const names = this.#namesOf.get(entry.id) ?? new Set();
    this.#namesOf.set(entry.id, names.add(name));
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > mostNames && oldest !== undefined) this.#delete(oldest);
  }

  /** The entry changed or is gone: none of its names stands for it any more. */
  invalidate(id: string): void {
    for (const name of this.#namesOf.get(id) ?? []) this.#entries.delete(name);
    this.#namesOf.delete(id);
  }

  #delete(name: string): void {
    const entry = this.#entries.get(name);
    if (!entry) return;
    this.#entries.delete(name);
    const names = this.#namesOf.get(entry.id);
    names?.delete(name);
    if (names?.size === 0) this.#namesOf.delete(entry.id);
  }
}
