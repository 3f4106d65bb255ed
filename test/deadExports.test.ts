import { describe, expect, test } from 'vitest';
import { exportsOf, importedNames, readTexts, type Export } from './support/exports.ts';

/** VS Code calls these by name. */
const entryPoints: ReadonlySet<string> = new Set([
  'src/vscode/extension.ts#activate',
  'src/vscode/extension.ts#deactivate',
]);

/** Parts of package.json that the code never names: the manifest's test holds both against each other. */
const manifestOnly: readonly string[] = [
  'contextKeys',
  'cwindowLanguageId',
  'receiptLanguageId',
  'viewContainerId',
].map((name) => `src/vscode/contributions.ts#${name}`);

const key = ({ file, name }: Export): string => `${file}#${name}`;

describe('exports', () => {
  const source = readTexts('src');
  const others = readTexts('test', 'scripts', 'bench');
  const exported = [...source].flatMap(([file, text]) => exportsOf(file, text));
  const namesOf = (texts: ReadonlyMap<string, string>): ReadonlySet<string> =>
    new Set([...texts].flatMap(([file, text]) => importedNames(file, text)));
  const bySource = namesOf(source);
  const byOthers = namesOf(others);
  const isImported = (names: ReadonlySet<string>, each: Export): boolean =>
    names.has(key(each)) || names.has(`${each.file}#*`);

  test('each value that a file of src/ exports is imported somewhere', () => {
    const dead = exported.filter(
      (each) =>
        !each.isType && !entryPoints.has(key(each)) && !isImported(bySource, each) && !isImported(byOthers, each),
    );
    expect(dead.map(key)).toEqual([]);
  });

  test('what a file of src/ exports, src/ itself uses', () => {
    const idle = exported.filter(
      (each) => each.mentions === 1 && !entryPoints.has(key(each)) && !isImported(bySource, each),
    );
    expect(idle.map(key).sort()).toEqual(manifestOnly);
  });
});

describe('the search for exports', () => {
  test('finds declarations and leaves comments out of the count', () => {
    const text =
      '/** a, a */\nexport const a = 1;\nexport interface B { c: string }\nexport async function d(b: B) {}\n';
    expect(exportsOf('src/x.ts', text)).toEqual([
      { file: 'src/x.ts', name: 'a', isType: false, mentions: 1 },
      { file: 'src/x.ts', name: 'B', isType: true, mentions: 2 },
      { file: 'src/x.ts', name: 'd', isType: false, mentions: 1 },
    ]);
  });

  test('follows imports of names, types and whole files, and late ones', () => {
    const text = [
      "import { a, type B, c as d } from '../y.ts';",
      "import type { E } from './z.ts';",
      "import * as all from './w.ts';",
      "import { readFileSync } from 'node:fs';",
      "const late = await import('./v.ts');",
    ].join('\n');
    expect(importedNames('src/r/x.ts', text)).toEqual([
      'src/y.ts#a',
      'src/y.ts#B',
      'src/y.ts#c',
      'src/r/z.ts#E',
      'src/r/w.ts#*',
      'src/r/v.ts#*',
    ]);
  });
});
