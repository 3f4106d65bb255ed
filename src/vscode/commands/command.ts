import { type CwmError, type ErrorReport, toCwmError } from '../../protocol/errors.ts';
import type { App } from '../app.ts';
import { showFailure } from '../ui/notifications.ts';
import { type ProgressText, withProgress } from '../ui/progress.ts';

/** What a command resolves to. It never rejects: the user has been told by then. */
export type CommandResult<Value> =
  | { readonly kind: 'done'; readonly value: Value }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'failed'; readonly error: ErrorReport };

/**
 * A command in two halves: `ask` completes the input with what the user answers, `perform` does the work. So a Retry does not ask
 * again, and a command that is given everything asks nothing.
 */
export interface CommandDefinition<Input, Request, Value> {
  /** For messages: "Freeze". */
  readonly title: string;
  /** `undefined` when the user changed their mind. */
  ask(app: App, input: Input): Promise<Request | undefined>;
  /** For work that may take longer than a moment: shown as a notification, with a Cancel button unless it says otherwise. */
  progress?(request: Request): ProgressText;
  perform(app: App, request: Request, signal: AbortSignal | undefined): Promise<Value>;
  /** Tells or shows the user the result, without waiting for an answer. */
  show?(app: App, value: Value, request: Request): Promise<void> | void;
}

export type RunCommand<Input, Value> = (app: App, input: Input) => Promise<CommandResult<Value>>;

export function command<Input, Request, Value>(
  definition: CommandDefinition<Input, Request, Value>,
): RunCommand<Input, Value> {
  return async (app, input) => {
    try {
      const request = await definition.ask(app, input);
      return request === undefined ? { kind: 'cancelled' } : await attempt(app, definition, request);
    } catch (thrown) {
      return failed(app, definition.title, toCwmError(thrown), null);
    }
  };
}

async function attempt<Input, Request, Value>(
  app: App,
  definition: CommandDefinition<Input, Request, Value>,
  request: Request,
): Promise<CommandResult<Value>> {
  const progress = definition.progress?.(request);
  try {
    const value =
      progress === undefined
        ? await definition.perform(app, request, undefined)
        : await withProgress(app, progress, (signal) => definition.perform(app, request, signal));
    await definition.show?.(app, value, request);
    return { kind: 'done', value };
  } catch (thrown) {
    return failed(app, definition.title, toCwmError(thrown), () => attempt(app, definition, request));
  }
}

function failed(
  app: App,
  title: string,
  error: CwmError,
  retry: (() => Promise<unknown>) | null,
): { readonly kind: 'failed'; readonly error: ErrorReport } {
  showFailure(app, title, error, retry);
  return { kind: 'failed', error: error.report() };
}
