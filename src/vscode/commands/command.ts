import type { CallOptions } from '../../client/backendClient.ts';
import { type CwmError, type ErrorReport, toCwmError } from '../../protocol/errors.ts';
import type { App } from '../app.ts';
import type { CommandId, CommandInput, CommandOutput } from '../contributions.ts';
import { showFailure } from '../ui/notifications.ts';
import { type ProgressText, withProgress } from '../ui/progress.ts';

/** What a command resolves to. It never rejects, because it has shown the failure to the user. */
export type CommandResult<Value> =
  | { readonly kind: 'done'; readonly value: Value }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'failed'; readonly error: ErrorReport };

/**
 * A command in two halves: `ask` completes the input with the user's answers, `perform` does the work. So a Retry does not ask again,
 * and a command with a complete input asks nothing.
 */
export interface CommandDefinition<Input, Request, Value> {
  /** `undefined` when the user changed their mind. */
  ask(app: App, input: Input): Promise<Request | undefined>;
  /** For work that may take longer than a moment: a notification, with a Cancel button unless it says otherwise. */
  progress?(request: Request): ProgressText;
  /** @param call goes with the call that does the work: it carries the Cancel button's signal, and hears the steps. */
  perform(app: App, request: Request, call: CallOptions): Promise<Value>;
  /** Shows the result, without waiting for an answer. */
  show?(app: App, value: Value, request: Request): Promise<void> | void;
}

export type RunCommand<Input, Value> = (app: App, input: Input) => Promise<CommandResult<Value>>;

export function command<Id extends CommandId, Request>(
  id: Id,
  definition: CommandDefinition<CommandInput<Id>, Request, CommandOutput<Id>>,
): RunCommand<CommandInput<Id>, CommandOutput<Id>> {
  return async (app, input) => {
    try {
      const request = await definition.ask(app, input);
      return request === undefined ? { kind: 'cancelled' } : await attempt(app, id, definition, request);
    } catch (thrown) {
      return failed(app, id, toCwmError(thrown), null);
    }
  };
}

async function attempt<Input, Request, Value>(
  app: App,
  id: CommandId,
  definition: CommandDefinition<Input, Request, Value>,
  request: Request,
): Promise<CommandResult<Value>> {
  const progress = definition.progress?.(request);
  try {
    const value =
      progress === undefined
        ? await definition.perform(app, request, {})
        : await withProgress(app, progress, (call) => definition.perform(app, request, call));
    // The call returned after its signals were delivered: what they name is being fetched.
    await app.puller.settled();
    await definition.show?.(app, value, request);
    return { kind: 'done', value };
  } catch (thrown) {
    return failed(app, id, toCwmError(thrown), () => attempt(app, id, definition, request));
  }
}

function failed(
  app: App,
  id: CommandId,
  error: CwmError,
  retry: (() => Promise<unknown>) | null,
): { readonly kind: 'failed'; readonly error: ErrorReport } {
  showFailure(app, id, error, retry);
  return { kind: 'failed', error: error.report() };
}
