import { fileURLToPath } from 'node:url';
import type { BackendStart } from '../../src/client/backendChild.ts';

/** The real backend of this checkout. */
export const startOf = (): BackendStart => ({
  nodePath: process.execPath,
  entry: fileURLToPath(new URL('../../src/backend/main.ts', import.meta.url)),
});
