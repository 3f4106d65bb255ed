import { describe, expect, test } from 'vitest';
import { DrawnRows } from '../../src/vscode/render/drawnRows.ts';
import { fc } from '../support/fc.ts';

interface Node {
  readonly id: string;
  readonly text: string;
}
type Tree = ReadonlyMap<string, readonly Node[]>;

/** What VS Code does: it asks for the rows below each open row, and draws each. */
class Screen {
  readonly drawn = new DrawnRows<Node>(({ id }) => id);
  readonly shown = new Map<string, { readonly text: string; below: readonly string[] }>();
  tree: Tree;

  constructor(tree: Tree) {
    this.tree = tree;
    this.#open(undefined);
  }

  /** Draws what it is told to, and names it: the ids, or all. */
  change(tree: Tree): readonly string[] | 'all' {
    this.tree = tree;
    const rows = this.drawn.outdated((parent) => this.#below(parent), rowOf);
    if (rows === undefined) this.shown.clear();
    for (const row of rows ?? [undefined]) {
      if (row !== undefined) this.#draw(row);
      this.#open(row);
    }
    return rows?.map(({ id }) => id).sort() ?? 'all';
  }

  #open(parent: Node | undefined): void {
    const given = this.drawn.give(parent, this.#below(parent));
    this.shown.set(parent?.id ?? '', {
      text: this.shown.get(parent?.id ?? '')?.text ?? '',
      below: given.map(({ id }) => id),
    });
    for (const node of given) {
      this.#draw(node);
      if (this.tree.has(node.id)) this.#open(node);
    }
  }

  #draw(node: Node): void {
    this.drawn.draw(node, rowOf(node));
    this.shown.set(node.id, { text: node.text, below: this.shown.get(node.id)?.below ?? [] });
  }

  #below(parent: Node | undefined): readonly Node[] {
    return (this.tree.get(parent?.id ?? '') ?? []).map((node) => ({ ...node }));
  }

  /** The rows that a user sees, from the top. */
  get lines(): readonly string[] {
    const lines = (id: string): string[] =>
      (this.shown.get(id)?.below ?? []).flatMap((child) => [
        `${child} ${this.shown.get(child)?.text ?? ''}`,
        ...lines(child),
      ]);
    return lines('');
  }
}

const rowOf = ({ text }: Node) => ({ label: text });
const treeOf = (
  rows: Readonly<Record<string, readonly string[]>>,
  texts: Readonly<Record<string, string>> = {},
): Tree =>
  new Map(
    Object.entries(rows).map(([id, ids]) => [id, ids.map((each) => ({ id: each, text: texts[each] ?? 'same' }))]),
  );

describe('V2 a row is drawn again only where it looks different', () => {
  const rows = { '': ['a', 'b'], a: ['a1', 'a2'] };

  test('nothing is where all looks the same', () => {
    expect(new Screen(treeOf(rows)).change(treeOf(rows))).toEqual([]);
  });

  test('one row is where its text changed, and VS Code knows it by the same object, with what is new in it', () => {
    const screen = new Screen(treeOf(rows));
    const [, before] = screen.drawn.give(undefined, [
      { id: 'a', text: 'same' },
      { id: 'b', text: 'same' },
    ]);
    expect(screen.change(treeOf(rows, { b: 'new' }))).toEqual(['b']);
    expect(before).toEqual({ id: 'b', text: 'new' });
  });

  test('the parent is where rows come, go or change places; the whole tree where the outermost do', () => {
    const screen = new Screen(treeOf(rows));
    expect(screen.change(treeOf({ ...rows, a: ['a2', 'a1'] }))).toEqual(['a']);
    expect(screen.change(treeOf({ ...rows, a: ['a2'] }))).toEqual(['a']);
    expect(screen.change(treeOf({ '': ['b', 'a'], a: ['a2'] }))).toBe('all');
  });

  test('rows that VS Code has not asked for are nothing to draw', () => {
    const drawn = new DrawnRows<Node>(({ id }) => id);
    expect(drawn.outdated(() => [{ id: 'a', text: '' }], rowOf)).toEqual([]);
  });

  test('however it changes, the screen shows what is there, and a second look finds nothing', () => {
    const text = fc.constantFrom('one', 'two');
    const nodes = (ids: readonly string[]) =>
      fc
        .shuffledSubarray([...ids])
        .chain((chosen) => fc.tuple(...chosen.map((id) => text.map((shown) => ({ id, text: shown })))));
    const trees = fc
      .record({ '': nodes(['a', 'b', 'c']), a: nodes(['a1', 'a2', 'a3']), b: nodes(['b1', 'b2']) })
      .map((record): Tree => new Map(Object.entries(record)));
    fc.assert(
      fc.property(fc.array(trees, { minLength: 2, maxLength: 6 }), ([first = new Map(), ...others]) => {
        const screen = new Screen(first);
        for (const tree of others) {
          screen.change(tree);
          expect(screen.lines).toEqual(new Screen(tree).lines);
          expect(screen.change(tree)).toEqual([]);
        }
      }),
    );
  });
});
