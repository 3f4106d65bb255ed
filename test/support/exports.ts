import { readFileSync } from 'node:fs';
import path from 'node:path';
import { sourceFiles } from './sourceGraph.ts';

export interface Export {
  /** Path below the repository, with slashes. */
  readonly file: string;
  readonly name: string;
  readonly isType: boolean;
  /** How often its own file names it, its declaration included. */
  readonly mentions: number;
}

const declaration = /^export (?:abstract |async )*(const|let|function\*?|class|interface|type) (\w+)/gm;
const staticImport = /^(?:import|export)\s+(?:type\s+)?(?:\{([^}]*)\}|(\*)[^']*?)\s+from\s+'(\.[^']+)';/gm;
const lateImport = /\bimport\('(\.[^']+)'\)/g;

/** The declarations that a file exports. */
export function exportsOf(file: string, text: string): Export[] {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  return Array.from(code.matchAll(declaration), ([, kind = '', name = '']) => ({
    file,
    name,
    isType: kind === 'interface' || kind === 'type',
    mentions: Array.from(code.matchAll(new RegExp(`\\b${name}\\b`, 'g'))).length,
  }));
}

/** The names that a file imports from other files, each as `file#name`; `file#*` for all names of a file. */
export function importedNames(file: string, text: string): string[] {
  const target = (specifier: string): string => path.posix.join(path.posix.dirname(file), specifier);
  const named = Array.from(text.matchAll(staticImport), ([, names = '', star, from = '']) => {
    if (star !== undefined) return [`${target(from)}#*`];
    const parts = names.replaceAll(/\/\/.*$/gm, '').split(',');
    return parts.flatMap((part) => {
      const name = /^\s*(?:type\s+)?(\w+)/.exec(part)?.[1];
      return name === undefined ? [] : [`${target(from)}#${name}`];
    });
  });
  const late = Array.from(text.matchAll(lateImport), ([, from = '']) => `${target(from)}#*`);
  return [...named.flat(), ...late];
}

/** The text of every TypeScript file below these folders of the repository, by its path with slashes. */
export function readTexts(...roots: readonly string[]): ReadonlyMap<string, string> {
  const repository = path.join(import.meta.dirname, '../..');
  return new Map(
    roots.flatMap((root) =>
      sourceFiles(path.join(repository, root)).map((file): [string, string] => [
        `${root}/${file}`,
        readFileSync(path.join(repository, root, file), 'utf8'),
      ]),
    ),
  );
}
