import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { findCycle, folders, importsOf, roomsOf, sourceFiles, sourceRoot } from './support/sourceGraph.ts';

/**
 * What each folder of `src/` may import, besides itself. This table is the only place that decides: the lint rules and the layout in
 * docs/architecture.md are held against it.
 */
const layers: Readonly<Record<string, readonly string[]>> = {
  base: [],
  protocol: ['base'],
  words: ['base', 'protocol'],
  core: ['base', 'protocol'],
  engines: ['base', 'protocol', 'core/ports'],
  embedded: ['base', 'protocol'],
  store: ['base', 'protocol', 'core/ports'],
  gateway: ['base', 'protocol', 'core'],
  backend: ['base', 'protocol', 'core', 'engines', 'store', 'gateway'],
  client: ['base', 'protocol'],
  agent: ['base', 'protocol', 'words'],
  setup: ['base', 'protocol'],
  cli: ['base', 'protocol', 'words', 'client', 'setup'],
  mcp: ['base', 'protocol', 'words', 'client', 'agent'],
  vscode: ['base', 'protocol', 'words', 'client', 'agent', 'setup'],
};

/** A layer that does not exist yet: its rules hold from the first file on. */
const planned: readonly string[] = ['mcp'].filter((layer) => !existsSync(path.join(sourceRoot, layer)));

/**
 * What each room of `core/` may import, besides itself and the nouns: the files directly in `core/`. A single file stands for the one
 * part of a room that may be used from below or beside it.
 */
const coreRooms: Readonly<Record<string, readonly string[]>> = {
  ports: [],
  prompt: ['ports'],
  projects: ['ports'],
  space: ['ports'],
  evidence: ['ports', 'space/blocksInUse.ts'],
  answers: ['ports', 'prompt'],
  tools: ['ports'],
  memory: ['ports', 'prompt'],
  turns: ['ports', 'prompt', 'answers', 'tools', 'memory'],
  kv: ['ports', 'prompt', 'space', 'evidence'],
  windows: ['ports', 'space', 'evidence', 'kv', 'projects', 'turns/machine.ts', 'turns/branchAt.ts', 'prompt'],
  sessions: ['ports', 'prompt', 'windows', 'projects', 'turns', 'memory'],
  tracker: ['ports', 'turns'],
};

/** The files directly in `core/` that compose it, and so may import every room. The others import only `ports` and each other. */
const composers: readonly string[] = ['core/operations.ts', 'core/core.ts'];

/** Names the types of every room, so that operations are handed one thing; nothing runs in it. */
const hub = 'core/context.ts';

/** Packages that only some folders may use: what does I/O stays out of the core, native code in its own process. */
const packageOwners: Readonly<Record<string, readonly string[]>> = {
  vscode: ['vscode'],
  undici: ['engines', 'client', 'backend', 'gateway'],
  'sql.js': ['store'],
  '@msgpack/msgpack': ['engines'],
  hono: ['backend', 'embedded'],
  '@hono/node-server': ['backend', 'embedded'],
  'node-llama-cpp': ['embedded'],
  'jsonc-parser': ['setup'],
  commander: ['cli'],
  '@modelcontextprotocol/sdk': ['backend'],
  '@modelcontextprotocol/server': ['mcp'],
  // The backend checks both directions of its socket, so that clients load no schemas.
  zod: ['protocol', 'engines', 'embedded', 'store', 'backend', 'agent', 'mcp'],
};

const files = sourceFiles();
const imports = files.flatMap((file) => importsOf(file));
const own = imports.filter(({ isOwn }) => isOwn);

const layerOf = (file: string): string => file.split('/')[0] ?? '';
const isWithin = (file: string, place: string): boolean => file === place || file.startsWith(`${place}/`);
const shown = ({ from, to }: { from: string; to: string }): string => `${from} imports ${to}`;

describe('import graph', () => {
  test('there is source to look at', () => {
    expect(files.length).toBeGreaterThan(20);
    expect(imports.length).toBeGreaterThan(files.length);
  });

  test('a folder imports only what the layout lets it', () => {
    const breaches = own.filter(({ from, to }) => {
      const layer = layerOf(from);
      return ![layer, ...(layers[layer] ?? [])].some((place) => isWithin(to, place));
    });
    expect(breaches.map(shown)).toEqual([]);
  });

  test('a room of the core imports only what its row lets it', () => {
    const breaches = own.filter(({ from, to }) => {
      if (layerOf(from) !== 'core' || layerOf(to) !== 'core') return false;
      if (from === hub || composers.includes(from)) return false;
      const [, room = '', ...rest] = from.split('/');
      const isNoun = to.split('/').length === 2 && !composers.includes(to);
      const places = rest.length === 0 ? ['ports'] : [room, ...(coreRooms[room] ?? [])];
      return !isNoun && !places.some((place) => isWithin(to, `core/${place}`));
    });
    expect(breaches.map(shown)).toEqual([]);
  });

  test('a package is used only where it belongs', () => {
    const breaches = imports.filter(({ from, to, isOwn }) => {
      const name = Object.keys(packageOwners).find((each) => to === each || to.startsWith(`${each}/`));
      return !isOwn && name !== undefined && !(packageOwners[name] ?? []).includes(layerOf(from));
    });
    expect(breaches.map(shown)).toEqual([]);
  });

  test('zod brings one language, by its file: the index has fifty, a tenth of the backend', () => {
    const asking = files.filter((file) =>
      /\bz\.locales\b|zod(\/v4)?\/locales'/.test(readFileSync(path.join(sourceRoot, file), 'utf8')),
    );
    expect(asking).toEqual([]);
  });

  test('the core does no I/O', () => {
    expect(imports.filter(({ from, to }) => layerOf(from) === 'core' && to.startsWith('node:')).map(shown)).toEqual([]);
  });

  test('S1-12 nothing imports itself in a circle, not even for a type', () => {
    expect(findCycle(own.filter(({ from }) => from !== hub))).toEqual([]);
  });

  test('a folder with folders has at most 12 files of its own, one without at most 24', () => {
    const full = [...folders(files)].filter(([, { loose, isLeaf }]) => loose > (isLeaf ? 24 : 12));
    expect(full.map(([folder, { loose }]) => `${folder}: ${loose} files`)).toEqual([]);
  });
});

describe('arrows', () => {
  // A pair of rooms counts once in each direction. Above the figure, look for a file in the wrong room or a layer that only passes on.
  test.each([
    ['core', 93],
    ['store', 37],
    ['vscode', 59],
    ['backend', 30],
  ])('between the rooms of %s are at most %i', (folder, most) => {
    expect(roomsOf(folder, files, imports).arrows).toBeLessThanOrEqual(most);
  });
});

describe('the rules have one source', () => {
  test('the layout in docs/architecture.md says what the tables say', () => {
    const { arrows } = documentedLayout();
    const stated = (prefix: string): Record<string, string[]> =>
      Object.fromEntries(
        [...arrows].flatMap(([folder, places]) => {
          const name = folder.slice(prefix.length);
          return folder.startsWith(prefix) && !name.includes('/') ? [[name, [...places].sort()]] : [];
        }),
      );
    const sorted = (table: Readonly<Record<string, readonly string[]>>): Record<string, string[]> =>
      Object.fromEntries(Object.entries(table).map(([name, places]) => [name, [...places].sort()]));
    expect(stated('core/')).toEqual(sorted(coreRooms));
    expect(stated('')).toEqual(sorted(layers));
  });

  test('the layout names every folder down to the second level, and none that is not there', () => {
    const there = [...folders(files).keys()].filter((folder) => folder !== '' && folder.split('/').length <= 2);
    const documented = documentedLayout().folders.filter((folder) => !planned.includes(folder));
    expect(documented.sort()).toEqual(there.sort());
  });

  test('the lint rules forbid what the table does not allow, and nothing else', () => {
    const wrong = Object.keys(layers).flatMap((layer) => {
      const forbids = lintRule(layer);
      const targets = [...Object.keys(layers).filter((other) => other !== layer), 'core/ports', 'core/kv'];
      return targets.flatMap((target) => {
        if (layer === 'core' && target.startsWith('core')) return [];
        const isAllowed = (layers[layer] ?? []).some((place) => isWithin(target, place));
        const isPossible = target !== 'core' || !(layers[layer] ?? []).includes('core/ports');
        const isForbidden = forbids(`../../${target}/file.ts`);
        return isPossible && isForbidden === isAllowed ? [`${layer} → ${target}`] : [];
      });
    });
    expect(wrong).toEqual([]);
  });
});

/** The layout block of docs/architecture.md: `name/   what it is   → what it may import`, one more indent a level. */
function documentedLayout(): { folders: string[]; arrows: Map<string, string[]> } {
  const text = readFileSync(path.join(sourceRoot, '../docs/architecture.md'), 'utf8');
  const block = /^```\nsrc\/\n([\s\S]*?)^```/m.exec(text)?.[1] ?? '';
  const found = { folders: [] as string[], arrows: new Map<string, string[]>() };
  let layer = '';
  for (const line of block.split('\n')) {
    const [, indent = '', name = '', places] = /^( +)(\w+)\/[^→]*(?:→ (.*))?$/.exec(line) ?? [];
    if (name === '') continue;
    if (indent.length === 2) layer = name;
    const folder = indent.length === 2 ? name : `${layer}/${name}`;
    found.folders.push(folder);
    if (indent.length === 2 || layer === 'core') found.arrows.set(folder, places?.split(', ') ?? []);
  }
  return found;
}

type LintPattern = { readonly regex: string } | { readonly group: readonly string[] };

interface LintOverride {
  readonly files: readonly string[];
  readonly rules: Readonly<Record<string, unknown>>;
}

/** Whether the lint rules of a layer forbid an import. */
function lintRule(layer: string): (specifier: string) => boolean {
  const config = JSON.parse(readFileSync(path.join(sourceRoot, '../.oxlintrc.json'), 'utf8')) as {
    overrides: LintOverride[];
  };
  const patterns = config.overrides
    .filter((each) => each.files.includes(`src/${layer}/**`))
    .flatMap(({ rules }) => {
      const rule = rules['no-restricted-imports'] as [string, { patterns: LintPattern[] }] | undefined;
      return rule?.[1].patterns ?? [];
    });
  return (specifier) =>
    patterns.some((pattern) =>
      'regex' in pattern ? new RegExp(pattern.regex).test(specifier) : isInGroup(specifier, pattern.group),
    );
}

/** The last glob that matches decides, as in a .gitignore file. */
function isInGroup(specifier: string, group: readonly string[]): boolean {
  const file = specifier.replaceAll('../', '');
  const last = group.findLast((glob) => path.posix.matchesGlob(file, glob.replace('!', '')));
  return last !== undefined && !last.startsWith('!');
}
