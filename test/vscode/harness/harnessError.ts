/** A failure of the test harness itself (nothing could be installed, started or reached), as opposed to a red test. */
export class HarnessError extends Error {
  /** `evidence` (a log's tail, a screenshot's path) is appended to the message, so that it shows wherever the error is printed. */
  constructor(message: string, evidence: readonly string[] = [], options?: ErrorOptions) {
    super([message, ...evidence.filter((text) => text !== '')].join('\n'), options);
    this.name = 'HarnessError';
  }
}
