/**
 * What VS Code has drawn of a tree. While it draws a row again it forgets for a moment what belongs to the row and to those below it, so
 * that a button of the row that is pressed then names no row. So a tree is drawn again only where it would look different.
 */
export class DrawnRows<Node extends object> {
  readonly #idOf: (node: Node) => string;
  /** By id: VS Code knows a row by this object. */
  readonly #given = new Map<string, Node>();
  /** By parent, the root's is undefined: the ids below it. */
  readonly #below = new Map<Node | undefined, string>();
  /** By id. */
  readonly #rows = new Map<string, string>();

  constructor(idOf: (node: Node) => string) {
    this.#idOf = idOf;
  }

  /** The rows below a parent for VS Code: a row that it has already is the same object, with what is new in it. */
  give(parent: Node | undefined, fresh: readonly Node[]): Node[] {
    this.#below.set(parent, this.#idsOf(fresh));
    return fresh.map((node) => this.#renewed(node));
  }

  /** Notes what a row shows, `row`, when VS Code asks for it. */
  draw(node: Node, row: object): void {
    this.#rows.set(this.#idOf(node), JSON.stringify(row));
  }

  /** The rows that VS Code has to draw again, each with those below it: none, some, or undefined for the whole tree. */
  outdated(
    childrenOf: (parent: Node | undefined) => readonly Node[],
    rowOf: (node: Node) => object,
  ): Node[] | undefined {
    const outdated = new Set<Node>();
    for (const [parent, ids] of this.#below) {
      const children = childrenOf(parent);
      if (this.#idsOf(children) !== ids) {
        if (parent === undefined) return this.#forget();
        outdated.add(parent);
      }
      for (const child of children) {
        // A drop on a row reads what it does not show.
        const node = this.#renewed(child);
        const drawn = this.#rows.get(this.#idOf(node));
        if (drawn !== undefined && drawn !== JSON.stringify(rowOf(node))) outdated.add(node);
      }
    }
    return [...outdated];
  }

  #forget(): undefined {
    for (const part of [this.#given, this.#below, this.#rows]) part.clear();
  }

  #renewed(fresh: Node): Node {
    const id = this.#idOf(fresh);
    const node = Object.assign(this.#given.get(id) ?? fresh, fresh);
    this.#given.set(id, node);
    return node;
  }

  #idsOf(nodes: readonly Node[]): string {
    return nodes.map(this.#idOf).join('\n');
  }
}
