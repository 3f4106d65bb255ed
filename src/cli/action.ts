import type { Run } from './run.ts';

/** What a command does once its arguments are understood. @returns the exit code, 0 when it gives none. */
export type Action = (run: Run) => Promise<number | void>;

/** Runs one command's action and remembers its exit code. */
export type Perform = (options: object, action: Action) => Promise<void>;
