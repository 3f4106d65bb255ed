import path from 'node:path';
import type { EntryPoint } from '../../src/base/entryPoint.ts';

/** The bundle of this run of vitest that starts another process of the product. */
export function entryPointPath(name: EntryPoint): string {
  return path.join(process.env['CWM_TEST_PROGRAMS'] ?? '', `${name}.js`);
}
