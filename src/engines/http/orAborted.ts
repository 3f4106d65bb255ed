import { CwmError } from '../../protocol/errors.ts';

/** A promise that does not outlast its signal: whoever waits in a queue leaves at once. @throws CwmError Cancelled. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const cancelled = (cause: unknown): CwmError =>
    new CwmError('Cancelled', 'The request to the model server was cancelled.', { cause });
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(cancelled(signal.reason));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise
      .then(resolve, (error: unknown) =>
        reject(signal.aborted && !(error instanceof CwmError) ? cancelled(error) : (error as Error)),
      )
      .finally(() => signal.removeEventListener('abort', onAbort));
  });
}
