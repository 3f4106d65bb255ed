import { entryPointPath } from '../../src/base/entryPoint.ts';
import type { BackendStart } from '../../src/client/backendChild.ts';

/** Of any file of the product, where this one runs from its source. */
const source = new URL('../../src/base/entryPoint.ts', import.meta.url).href;

/** The real backend of this checkout. */
export const startOf = (): BackendStart => ({
  nodePath: process.execPath,
  entry: entryPointPath('backend', import.meta.url.endsWith('.ts') ? source : import.meta.url),
});
