import type { StoreDisk } from '../disk/storeDisk.ts';

/** The objects that a step uses. */
export interface MigrationContext extends Pick<StoreDisk, 'files' | 'layout' | 'writes' | 'lines'> {
  /** Paths of the directories of all sessions and windows, also of those in the trash. */
  readonly sessions: () => Promise<readonly string[]>;
  readonly windows: () => Promise<readonly string[]>;
  /**
   * Gives a record the step's new version and this content. One that has that version already, is damaged or not there is left
   * as it is.
   */
  readonly rewrite: (path: string, change: (value: unknown) => unknown) => Promise<void>;
}

/**
 * One step from a format to the next. It may be interrupted at any point and then starts again from its beginning, so every part must
 * accept records that it has already converted.
 */
export interface Migration {
  readonly from: number;
  /** One more than `from`. */
  readonly to: number;
  /** For the log: what changes. */
  readonly what: string;
  migrate(context: MigrationContext): Promise<void>;
}
