import { Command } from 'commander';
import { productVersion } from '../protocol/version.ts';
import type { Perform } from './action.ts';
import { registerAudit } from './commands/audit.ts';
import { registerBackend } from './commands/serve.ts';
import { registerChecks } from './commands/doctor.ts';
import { registerConversation } from './commands/prime.ts';
import { registerDemo } from './commands/demo.ts';
import { registerEncryption } from './commands/encryption.ts';
import { registerFreezeAndThaw } from './commands/thaw.ts';
import { registerSession } from './commands/session.ts';
import { registerSpace } from './commands/usage.ts';
import { registerState } from './commands/state.ts';
import { registerWindows } from './commands/list.ts';
import { exitCodes, reportFailure } from './failure.ts';
import { Run, withCommonOptions, type CommonOptions } from './run.ts';
import type { Terminal } from './terminal/terminal.ts';

/**
 * Runs one command line.
 *
 * @returns the exit code: 0 done, 1 refused or failed, 2 wrong usage, 130 ended by Ctrl-C.
 */
export async function runCommandLine(args: readonly string[], terminal: Terminal): Promise<number> {
  let exitCode: number = exitCodes.ok;
  let usage = '';
  const program = withCommonOptions(new Command('cwm'))
    .description('Freezes, thaws and clones the context windows of your own model server, and proves what was reused.')
    .version(productVersion)
    // Failures are reported in one place, in words or as JSON; only a help text is taken from here.
    .configureOutput({ writeOut: (text) => terminal.out(text), writeErr: (text) => void (usage += text) })
    // Long usages leave little room beside them on a terminal of 80 columns; descriptions are wrapped all the same.
    .configureHelp({ minWidthToWrap: 20 })
    .exitOverride()
    .showSuggestionAfterError();
  const perform: Perform = async (options, action) => {
    const run = new Run(terminal, { ...program.opts<CommonOptions>(), ...options });
    try {
      exitCode = (await action(run)) ?? exitCodes.ok;
    } finally {
      run.dispose();
    }
  };
  for (const register of groups) register(program, perform);
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    return reportFailure(terminal, error, args.includes('--json'), usage);
  }
}

const groups = [
  registerSession,
  registerConversation,
  registerFreezeAndThaw,
  registerWindows,
  registerState,
  registerSpace,
  registerChecks,
  registerAudit,
  registerEncryption,
  registerBackend,
  registerDemo,
] as const;
