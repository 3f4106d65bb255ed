import type { StoreParts } from '../disk/storeParts.ts';

/** What a step works with. */
export interface MigrationContext extends Pick<StoreParts, 'files' | 'layout' | 'writes' | 'lines'> {
  /** Paths of the directories of all sessions, and of all windows, with those in the trash. */
  readonly sessions: () => Promise<readonly string[]>;
  readonly windows: () => Promise<readonly string[]>;
  /**
   * Gives a record the step's new version and this content. One that has that version already, is damaged or not there is left
   * as it is.
   */
  readonly rewrite: (path: string, change: (value: unknown) => unknown) => Promise<void>;
}

/**
 * One step from a format to the next. It may be cut short at any point and is then done again from its beginning, over what it
 * has already done: every part of it must be able to meet its own result.
 */
export interface Migration {
  readonly from: number;
  /** One more than `from`. */
  readonly to: number;
  /** For the log: what changes. */
  readonly what: string;
  migrate(context: MigrationContext): Promise<void>;
}

/**
 * Every step there ever was, oldest first; nothing is changed in here but its end. A new step comes with a fixture of the format
 * it starts from (`test/store/fixtures`), and the last `to` is `recordFormatVersion`.
 */
export const migrations: readonly Migration[] = [];
