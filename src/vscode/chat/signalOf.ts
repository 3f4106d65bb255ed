import type { CancellationToken } from 'vscode';
import type { Disposable } from '../../base/disposable.ts';

/** A cancellation of the editor as an abort. */
export function signalOf(token: CancellationToken): Disposable & { readonly signal: AbortSignal } {
  const aborted = new AbortController();
  if (token.isCancellationRequested) aborted.abort();
  const listening = token.onCancellationRequested(() => aborted.abort());
  return { signal: aborted.signal, dispose: () => listening.dispose() };
}
