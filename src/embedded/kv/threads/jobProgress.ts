/** What the threads of a job share: the number of the next block that nobody has taken, and what is known of the state file. */
export const nextAt = 0;
export const statusAt = 1;

/** Of the state file of a job. */
export const stateStatus = {
  /** llama.cpp writes it, from its beginning to its end. */
  grows: 0,
  /** It is complete, and is the one that was expected. */
  good: 1,
  /** Nothing that was cut out of it may be used. */
  bad: 2,
} as const;

export const newProgress = (): Int32Array => new Int32Array(new SharedArrayBuffer(8));
