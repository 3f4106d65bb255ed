interface ErrorLog {
  error(message: string, cause: unknown): void;
}

/** Lets `work` run without waiting for it. A failure goes to the log. */
export function inBackground(log: ErrorLog, what: string, work: PromiseLike<unknown>): void {
  work.then(undefined, (error: unknown) => log.error(`${what} failed.`, error));
}
