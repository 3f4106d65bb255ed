import { readableLine } from '../../base/readableText.ts';
import { ProgressLocation, window } from 'vscode';
import type { CallOptions } from '../../client/backendClient.ts';
import type { App } from '../app.ts';
import type { Operation } from '../state.ts';

export interface ProgressText {
  /** As in "Freezing auth-refactor". */
  readonly title: string;
  /** False: the work cannot be cancelled once it has begun. Default true. */
  readonly cancellable?: boolean;
  /** True: the status bar shows it, because the user sees the work in another place. Default false. */
  readonly isQuiet?: boolean;
}

/** Runs `work` with a notification, and shows the backend's steps there and in the status bar. */
export function withProgress<T>(
  app: App,
  { title: given, cancellable = true, isQuiet = false }: ProgressText,
  work: (call: CallOptions) => Promise<T>,
): Promise<T> {
  const title = readableLine(given);
  const run = window.withProgress(
    { location: isQuiet ? ProgressLocation.Window : ProgressLocation.Notification, title, cancellable },
    async (progress, token) => {
      const cancel = new AbortController();
      const onCancel = token.onCancellationRequested(() => cancel.abort());
      let operation: Operation = { title, step: '' };
      const replace = (next: readonly Operation[]): void =>
        app.state.update({ operations: [...app.state.current.operations.filter((one) => one !== operation), ...next] });
      const onProgress = (said: string): void => {
        const step = readableLine(said);
        const next = { title, step };
        replace([next]);
        operation = next;
        progress.report({ message: step });
      };
      replace([operation]);
      try {
        return await work({ signal: cancel.signal, onProgress });
      } finally {
        replace([]);
        onCancel.dispose();
      }
    },
  );
  return Promise.resolve(run);
}
