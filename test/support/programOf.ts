import { entryPointPath, type EntryPoint } from '../../src/base/entryPoint.ts';

const source = new URL('../../src/base/entryPoint.ts', import.meta.url).href;

/** The file that starts a process of the product: its bundle in process tests (`programs.ts`), its source elsewhere. */
export const programOf = (name: EntryPoint): string => entryPointPath(name, source);
