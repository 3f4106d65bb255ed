import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const sourceRoot = fileURLToPath(new URL('../../src', import.meta.url));

export interface Import {
  /** Path below `src/`, with slashes. */
  readonly from: string;
  /** Path below `src/` for a file of this repository, else the package as it is written. */
  readonly to: string;
  readonly isOwn: boolean;
}

/** Every file below `src/` or another root, with slashes. */
export const sourceFiles = (root: string = sourceRoot): string[] =>
  readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.replaceAll(path.sep, '/'));

/** Type imports count like any other: a type names what it comes from. */
export function importsOf(file: string, root: string = sourceRoot): Import[] {
  const text = readFileSync(path.join(root, file), 'utf8');
  const pattern = /^(?:import|export)\s(?:[\s\S]*?\sfrom\s+)?'([^']+)';|\bimport\('([^']+)'\)/gm;
  return Array.from(text.matchAll(pattern), ([, specifier, late]) => specifier ?? late ?? '').map((specifier) => {
    const isOwn = specifier.startsWith('.');
    return { from: file, to: isOwn ? path.posix.join(path.posix.dirname(file), specifier) : specifier, isOwn };
  });
}

/** How many files lie directly in each folder below `src/`, and whether it has folders of its own; '' is `src/` itself. */
export function folders(files: readonly string[]): ReadonlyMap<string, { loose: number; isLeaf: boolean }> {
  const found = new Map<string, { loose: number; isLeaf: boolean }>();
  const enter = (folder: string): { loose: number; isLeaf: boolean } => {
    const known = found.get(folder) ?? { loose: 0, isLeaf: true };
    found.set(folder, known);
    return known;
  };
  for (const file of files) {
    const parts = file.split('/').slice(0, -1);
    enter(parts.join('/')).loose++;
    for (let depth = 0; depth < parts.length; depth++) enter(parts.slice(0, depth).join('/')).isLeaf = false;
  }
  return found;
}

/** A room of a folder: a file that lies in it, or one of its folders seen as one. */
export interface Rooms {
  readonly loose: number;
  readonly rooms: number;
  /** Pairs of rooms of which one imports the other; a pair counts once in each direction. */
  readonly arrows: number;
}

/** What a reader of one folder sees at once. */
export function roomsOf(folder: string, files: readonly string[], imports: readonly Import[]): Rooms {
  const inside = (file: string): string | null =>
    file.startsWith(`${folder}/`) ? file.slice(folder.length + 1) : null;
  const roomOf = (file: string): string => file.split('/')[0] ?? '';
  const here = files.flatMap((file) => inside(file) ?? []);
  const arrows = imports.flatMap(({ from, to, isOwn }) => {
    const [source, target] = [inside(from), inside(to)];
    if (!isOwn || source === null || target === null || roomOf(source) === roomOf(target)) return [];
    return [`${roomOf(source)} → ${roomOf(target)}`];
  });
  return {
    loose: here.filter((file) => !file.includes('/')).length,
    rooms: new Set(here.map(roomOf)).size,
    arrows: new Set(arrows).size,
  };
}

/** The files of one cycle, or nothing. */
export function findCycle(imports: readonly Import[]): string[] {
  const edges = new Map<string, string[]>();
  for (const { from, to, isOwn } of imports) if (isOwn) edges.set(from, [...(edges.get(from) ?? []), to]);
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (file: string): string[] => {
    if (done.has(file)) return [];
    const start = trail.indexOf(file);
    if (start >= 0) return [...trail.slice(start), file];
    trail.push(file);
    for (const next of edges.get(file) ?? []) {
      const cycle = visit(next);
      if (cycle.length > 0) return cycle;
    }
    trail.pop();
    done.add(file);
    return [];
  };
  for (const file of edges.keys()) {
    const cycle = visit(file);
    if (cycle.length > 0) return cycle;
  }
  return [];
}
