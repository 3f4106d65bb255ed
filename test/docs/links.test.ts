import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const pages = globSync(['*.md', '{docs,test,.github}/**/*.md'], {
  cwd: root,
  exclude: (name) => name === 'node_modules',
});

/** Markdown without its code, where brackets are no links. */
const prose = (markdown: string): string =>
  markdown.replace(/^```[^]*?^```/gm, '').replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]]/g, ''));

const read = (page: string): string => readFileSync(path.join(root, page), 'utf8');

/** The anchors of a page, as GitHub makes them from its headings. */
function anchorsOf(page: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ''] of read(page)
    .replace(/^```[^]*?^```/gm, '')
    .matchAll(/^#{1,6} (.+)$/gm)) {
    const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const anchor = text
      .replace(/[^\p{L}\p{N}\- _]/gu, '')
      .trim()
      .replace(/ /g, '-');
    let unique = anchor;
    for (let count = 1; anchors.has(unique); count++) unique = `${anchor}-${count}`;
    anchors.add(unique);
  }
  return anchors;
}

interface Link {
  readonly page: string;
  readonly target: string;
}

const links: Link[] = pages.flatMap((page) =>
  Array.from(prose(read(page)).matchAll(/\]\(([^)\s]+)\)/g), ([, target = '']) => ({ page, target })).filter(
    ({ target }) => !/^[a-z]+:/i.test(target),
  ),
);

/** Why a link leads nowhere; null when it leads somewhere. */
function problemOf({ page, target }: Link): string | null {
  const [file = '', anchor] = target.split('#');
  const linked = file === '' ? page : path.posix.join(path.posix.dirname(page), file);
  if (!existsSync(path.join(root, linked))) return 'no such file';
  if (anchor === undefined) return null;
  return anchorsOf(linked).has(anchor) ? null : 'no such heading';
}

describe('documents', () => {
  test('each relative link leads to a file, and each anchor to a heading', () => {
    const broken = links.flatMap((link) => {
      const problem = problemOf(link);
      return problem === null ? [] : [`${link.page}: ${link.target}: ${problem}`];
    });
    expect(links.length).toBeGreaterThan(30);
    expect(broken).toEqual([]);
  });

  test('each npm script that a document names is in package.json', () => {
    const { scripts } = JSON.parse(read('package.json')) as { readonly scripts: Readonly<Record<string, string>> };
    const named = pages.flatMap((page) =>
      Array.from(read(page).matchAll(/\bnpm run (?:-{1,2}\w+ )*([\w:-]+)/g), ([, script = '']) => ({ page, script })),
    );
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter(({ script }) => !(script in scripts))).toEqual([]);
  });

  test('each file of the repository that a document names exists', () => {
    const named = pages.flatMap((page) =>
      Array.from(
        read(page).matchAll(/`((?:src|test|scripts|bench|docs)\/[\w./-]+\.(?:ts|mjs|md|py|mjs))`/g),
        ([, file = '']) => ({ page, file }),
      ),
    );
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter(({ file }) => !existsSync(path.join(root, file)))).toEqual([]);
  });

  test('each test file that a command in a document runs exists', () => {
    const named = pages.flatMap((page) =>
      Array.from(read(page).matchAll(/vitest run ((?:test\/[\w./-]+ ?)+)/g), ([, files = '']) =>
        files
          .trim()
          .split(' ')
          .map((file) => ({ page, file })),
      ).flat(),
    );
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter(({ file }) => !existsSync(path.join(root, file)))).toEqual([]);
  });
});
