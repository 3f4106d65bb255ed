import { ProgressLocation, window } from 'vscode';
import type { App } from '../app.ts';
import type { Operation } from '../state.ts';

export interface ProgressText {
  /** As in "Freezing auth-refactor". */
  readonly title: string;
  /** Session or window whose progress signals belong to it. */
  readonly subject: string;
  /** False: the work cannot be cancelled once it has begun. Default true. */
  readonly cancellable?: boolean;
}

/** Runs `work` with a notification, and shows the backend's steps there and in the status bar. */
export function withProgress<T>(
  app: App,
  { title, subject, cancellable = true }: ProgressText,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const run = window.withProgress(
    { location: ProgressLocation.Notification, title, cancellable },
    async (progress, token) => {
      const cancel = new AbortController();
      const onCancel = token.onCancellationRequested(() => cancel.abort());
      let operation: Operation = { title, step: '' };
      const replace = (next: readonly Operation[]): void =>
        app.state.update({ operations: [...app.state.current.operations.filter((one) => one !== operation), ...next] });
      const steps = app.connection.onChange((change) => {
        if (change.type !== 'progress' || change.subject !== subject) return;
        const next = { title, step: change.step };
        replace([next]);
        operation = next;
        progress.report({ message: change.step });
      });
      replace([operation]);
      try {
        return await work(cancel.signal);
      } finally {
        replace([]);
        steps.dispose();
        onCancel.dispose();
      }
    },
  );
  return Promise.resolve(run);
}
