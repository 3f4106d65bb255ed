import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const src = fileURLToPath(new URL('../src', import.meta.url));

/** What each folder may import, besides itself (docs/architecture.md, "Source layout"). `ports` stands for core/ports. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  base: [],
  protocol: ['base'],
  core: ['base', 'protocol'],
  engines: ['base', 'protocol', 'ports'],
  embedded: ['base', 'protocol'],
  store: ['base', 'protocol', 'ports'],
  backend: ['base', 'protocol', 'core', 'ports', 'engines', 'store'],
  client: ['base', 'protocol'],
  words: ['base', 'protocol'],
  cli: ['base', 'protocol', 'client', 'words'],
  mcp: ['base', 'protocol', 'client', 'words'],
  vscode: ['base', 'protocol', 'client', 'words'],
};

/** Packages that only some folders may use: what does I/O stays out of the core, native code in its own process. */
const packageOwners: Readonly<Record<string, readonly string[]>> = {
  vscode: ['vscode'],
  undici: ['engines', 'client', 'backend'],
  'sql.js': ['store'],
  hono: ['backend', 'embedded'],
  '@hono/node-server': ['backend', 'embedded'],
  'node-llama-cpp': ['embedded'],
  commander: ['cli'],
};

interface Import {
  readonly from: string;
  readonly specifier: string;
  readonly isType: boolean;
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.replaceAll(path.sep, '/'));
const imports = files.flatMap(importsOf);

function importsOf(file: string): Import[] {
  const text = readFileSync(path.join(src, file), 'utf8');
  const pattern = /^(?:import|export)\s(?:([\s\S]*?)\sfrom\s+)?'([^']+)';/gm;
  return Array.from(text.matchAll(pattern), ([, clause = '', specifier = '']) => ({
    from: file,
    specifier,
    isType: clause.startsWith('type '),
  }));
}

const folderOf = (file: string): string => (file.startsWith('core/ports/') ? 'ports' : (file.split('/')[0] ?? ''));
const resolveImport = ({ from, specifier }: Import): string => path.posix.join(path.posix.dirname(from), specifier);
const isRelative = ({ specifier }: Import): boolean => specifier.startsWith('.');

describe('import graph', () => {
  test('there is source to look at', () => {
    expect(files.length).toBeGreaterThan(20);
    expect(imports.length).toBeGreaterThan(files.length);
  });

  test('a folder imports only what the layout lets it', () => {
    const breaches = imports.filter(isRelative).flatMap((each) => {
      const from = folderOf(each.from) === 'ports' ? 'core' : folderOf(each.from);
      const to = folderOf(resolveImport(each));
      const isAllowed = to === from || (from === 'core' && to === 'ports') || (allowed[from] ?? []).includes(to);
      return isAllowed ? [] : [`${each.from} imports ${each.specifier}`];
    });
    expect(breaches).toEqual([]);
  });

  test('a package is used only where it belongs', () => {
    const breaches = imports
      .filter((each) => !isRelative(each))
      .filter(({ from, specifier }) => {
        const name = Object.keys(packageOwners).find((each) => specifier === each || specifier.startsWith(`${each}/`));
        return name !== undefined && !(packageOwners[name] ?? []).includes(from.split('/')[0] ?? '');
      });
    expect(breaches.map(({ from, specifier }) => `${from} imports ${specifier}`)).toEqual([]);
  });

  test('the core does no I/O', () => {
    const breaches = imports.filter(({ from, specifier }) => from.startsWith('core/') && specifier.startsWith('node:'));
    expect(breaches).toEqual([]);
  });

  test('S1-12 nothing imports itself in a circle', () => {
    const edges = new Map<string, string[]>(files.map((file) => [file, []]));
    for (const each of imports.filter((entry) => isRelative(entry) && !entry.isType)) {
      edges.get(each.from)?.push(resolveImport(each));
    }
    expect(findCycle(edges)).toEqual([]);
  });
});

/** The files of one cycle, or nothing. */
function findCycle(edges: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string[] => {
    if (done.has(file)) return [];
    const start = path.indexOf(file);
    if (start >= 0) return [...path.slice(start), file];
    path.push(file);
    for (const next of edges.get(file) ?? []) {
      const cycle = visit(next);
      if (cycle.length > 0) return cycle;
    }
    path.pop();
    done.add(file);
    return [];
  };
  for (const file of edges.keys()) {
    const cycle = visit(file);
    if (cycle.length > 0) return cycle;
  }
  return [];
}
