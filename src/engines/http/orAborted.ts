import { unlessAborted } from '../../base/unlessAborted.ts';
import { CwmError } from '../../protocol/errors.ts';

/**
 * {@link unlessAborted} for a request to a model server.
 *
 * @throws CwmError Cancelled when the signal was aborted first, also when the abort made the request fail; else the request's own error.
 */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await unlessAborted(promise, signal);
  } catch (error) {
    const isOwn = error instanceof CwmError && error !== signal.reason;
    if (!signal.aborted || isOwn) throw error;
    throw new CwmError('Cancelled', 'The request to the model server was cancelled.', { cause: error });
  }
}
