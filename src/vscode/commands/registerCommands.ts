import { type Disposable, Uri, commands } from 'vscode';
import { readFields } from '../../base/fields.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { App } from '../app.ts';
import { type CommandId, commandInputs } from '../contributions.ts';
import { showFailure } from '../ui/notifications.ts';
import type { CommandResult, RunCommand } from './command.ts';

/** Registers every command of `contributions.ts`. */
export function registerCommands(app: App): Disposable[] {
  return (Object.keys(commandInputs) as CommandId[]).map((id) => register(app, id));
}

function register(app: App, id: CommandId): Disposable {
  return commands.registerCommand(id, async (given: unknown, selection: unknown): Promise<CommandResult<unknown>> => {
    const input = readFields(commandInput(given, selection), commandInputs[id]);
    if (input) return run(app, id, input);
    const error = new CwmError('InvalidParameter', `The command ${id} was called with invalid arguments.`, {
      hint: 'Correct the arguments in the keybinding or in the extension that calls the command.',
    });
    showFailure(app, id, error, null);
    return { kind: 'failed', error: error.report() };
  });
}

/** A menu of the explorer passes the clicked file and all selected files; everything else is an input already. */
function commandInput(given: unknown, selection: unknown): unknown {
  if (!(given instanceof Uri)) return given ?? {};
  const uris = Array.isArray(selection) ? selection.filter((one) => one instanceof Uri) : [];
  return { path: given.fsPath, paths: (uris.length === 0 ? [given] : uris).map((uri) => uri.fsPath) };
}

/** The commands are loaded with the first one that runs: VS Code waits for the rest at every start. */
async function run(app: App, id: CommandId, input: unknown): Promise<CommandResult<unknown>> {
  const { handlers } = await import('./handlers.ts');
  // The table of this id's fields checks that the input is what its handler takes.
  return (handlers[id] as RunCommand<unknown, unknown>)(app, input);
}
