/** What a server's owner and its guard say to each other: first a {@link GuardedCommand}, then orders one way and reports the other. */

/** The log's name in its folder. */
export const logName = 'server.log';

export interface GuardedCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Gets what the server prints, as {@link logName}. The owner removes it, or the guard when the owner is gone. */
  readonly logFolder: string;
  /** Files that the server may leave behind: each a path whose last part may end with `*`. */
  readonly leftovers: readonly string[];
}

/** `stop` is SIGTERM, and SIGKILL when that does not help in time; `kill` is SIGKILL at once. Both end the whole process group. */
export type GuardOrder = 'stop' | 'kill';

export type GuardReport =
  | { readonly kind: 'started'; readonly pid: number }
  | { readonly kind: 'ended'; readonly how: string }
  | { readonly kind: 'failed'; readonly why: string };
