import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { CwmError } from '../../protocol/errors.ts';
import { readStart, whyNotGguf } from './fileStart.ts';

/** The files of one model. */
export interface ModelFiles {
  /**
   * As the user named it, links left alone: llama.cpp looks for the other parts beside it, and in a cache of links what it
   * leads to has another name.
   */
  readonly path: string;
  /** What people know the model by: the file's name without its ending and its part's number. */
  readonly name: string;
  /** Absolute paths of all parts in order; one path for a model in one file. */
  readonly parts: readonly string[];
}

/** How llama.cpp names the parts of a split model. */
const partPattern = /-(\d{5})-of-(\d{5})\.gguf$/i;

/**
 * The files that make up the model at this absolute path, each of which begins like a GGUF file.
 *
 * @throws CwmError PathNotFound when there is no file, NotAModel with what is wrong with it otherwise.
 */
export function findModelFiles(path: string): ModelFiles {
  const [, number, count] = partPattern.exec(path) ?? [];
  const name = basename(path)
    .replace(partPattern, '')
    .replace(/\.gguf$/i, '');
  if (number === undefined || count === undefined) {
    checkFile(path);
    return { path, name, parts: [path] };
  }
  const partAt = (at: number): string => path.replace(partPattern, `-${String(at).padStart(5, '0')}-of-${count}.gguf`);
  if (Number(number) !== 1) {
    checkFile(path);
    throw new CwmError(
      'NotAModel',
      `${path} is part ${Number(number)} of ${Number(count)} of a model. Name the first part, ${basename(partAt(1))}.`,
      { hint: 'llama.cpp finds the other parts beside the first.' },
    );
  }
  const parts = Array.from({ length: Number(count) }, (_, at) => partAt(at + 1));
  for (const [at, part] of parts.entries()) {
    if (at > 0 && !statSync(part, { throwIfNoEntry: false })) {
      throw new CwmError('NotAModel', `Part ${at + 1} of ${parts.length} of the model is missing: ${part}.`, {
        hint: 'Download all parts into one folder.',
      });
    }
    checkFile(part);
  }
  return { path, name, parts };
}

/** A model in one file that is not looked into: this process made it itself. */
export const ownModelFiles = (path: string): ModelFiles => ({ path, name: nameOf(path), parts: [path] });

const nameOf = (path: string): string =>
  basename(path)
    .replace(partPattern, '')
    .replace(/\.gguf$/i, '');

function checkFile(path: string): void {
  let start: Buffer;
  try {
    if (!statSync(path).isFile()) throw new CwmError('NotAModel', `${path} is not a file.`);
    start = readStart(path);
  } catch (cause) {
    if (cause instanceof CwmError) throw cause;
    const reason =
      cause instanceof Error && 'code' in cause && cause.code === 'ENOENT' ? 'does not exist' : 'cannot be read';
    throw new CwmError('PathNotFound', `The model file ${path} ${reason}.`, { cause });
  }
  const fault = whyNotGguf(start);
  if (fault) {
    throw new CwmError('NotAModel', `${path}${fault.words}`, fault.hint === undefined ? {} : { hint: fault.hint });
  }
}
