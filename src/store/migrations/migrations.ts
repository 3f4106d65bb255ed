import { heads } from './heads.ts';
import type { Migration } from './migration.ts';

/**
 * All steps, oldest first; only the end of the list may change. A new step comes with a fixture of the format it starts from
 * (`test/store/fixtures`), and the last `to` is `recordFormatVersion`.
 */
export const migrations: readonly Migration[] = [heads];
