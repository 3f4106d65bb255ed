import { Command, CommanderError } from 'commander';
import { productVersion } from '../protocol/version.ts';
import type { Perform } from './action.ts';
import { registerAudit } from './commands/storage/audit.ts';
import { registerBackup } from './commands/storage/backup.ts';
import { registerBranch } from './commands/sessions/branch.ts';
import { registerChat } from './commands/sessions/chat.ts';
import { registerClients } from './commands/gateway/clients.ts';
import { registerConnect } from './commands/gateway/connect.ts';
import { registerClone } from './commands/windows/clone.ts';
import { registerDelete } from './commands/windows/delete.ts';
import { registerDemo } from './commands/backend/demo.ts';
import { registerDoctor } from './commands/backend/doctor.ts';
import { registerEncryption } from './commands/storage/encryption.ts';
import { registerFreeze } from './commands/windows/freeze.ts';
import { registerList } from './commands/windows/list.ts';
import { registerMcp } from './commands/backend/mcp.ts';
import { registerMetrics } from './commands/backend/metrics.ts';
import { registerModel } from './commands/backend/model.ts';
import { registerProject } from './commands/sessions/project.ts';
import { registerBase } from './commands/sessions/base.ts';
import { registerOpen } from './commands/sessions/open.ts';
import { registerPin } from './commands/windows/pin.ts';
import { registerPrime } from './commands/sessions/prime.ts';
import { registerMemory } from './commands/sessions/memory.ts';
import { registerPrompt } from './commands/sessions/prompt.ts';
import { registerPrune } from './commands/windows/prune.ts';
import { registerSearch } from './commands/sessions/search.ts';
import { registerSend } from './commands/sessions/send.ts';
import { registerServe } from './commands/backend/serve.ts';
import { registerTrust } from './commands/sessions/decideTools.ts';
import { registerSession } from './commands/sessions/session.ts';
import { registerState } from './commands/sessions/state.ts';
import { registerStatus } from './commands/backend/status.ts';
import { registerStop } from './commands/backend/stop.ts';
import { registerThaw } from './commands/windows/thaw.ts';
import { registerTransfer } from './commands/sessions/transfer.ts';
import { registerTrash } from './commands/storage/trash.ts';
import { registerUse } from './commands/backend/use.ts';
import { registerUsage } from './commands/storage/usage.ts';
import { registerVerify } from './commands/storage/verify.ts';
import { exitCodes, reportFailure } from './failure.ts';
import { Run, withCommonOptions, type CommonOptions } from './run.ts';
import { sessionPlaces, wholeSessionId } from './shortSessionId.ts';
import type { Terminal } from './terminal/terminal.ts';

/**
 * Runs one command line.
 *
 * @param check throws where this process cannot run any command.
 * @returns the exit code: 0 done, 1 refused or failed, 2 wrong usage, 130 ended by Ctrl-C.
 */
export async function runCommandLine(
  args: readonly string[],
  terminal: Terminal,
  check: () => void = () => undefined,
): Promise<number> {
  let exitCode: number = exitCodes.ok;
  let usage = '';
  const program = withCommonOptions(new Command('cwm'))
    .description('Freezes, thaws and clones the context windows of your own model server, and proves what was reused.')
    .version(productVersion)
    // Failures are reported in one place, in words or as JSON; commander only gives the help text.
    .configureOutput({ writeOut: (text) => terminal.out(text), writeErr: (text) => void (usage += text) })
    // A long usage leaves little room on a terminal of 80 columns; descriptions must wrap there too.
    .configureHelp({ minWidthToWrap: 20 })
    .exitOverride()
    .showSuggestionAfterError();
  let run: Run | undefined;
  const perform: Perform = async (options, action) => {
    run ??= new Run(terminal, { ...program.opts<CommonOptions>(), ...options });
    exitCode = (await action(run)) ?? exitCodes.ok;
  };
  program.hook('preAction', async (_, command) => {
    for (const { given, put } of sessionPlaces(command)) {
      run ??= new Run(terminal, { ...program.opts<CommonOptions>(), ...command.opts<CommonOptions>() });
      put(await wholeSessionId(run, given));
    }
  });
  for (const [heading, commands] of groups) {
    program.commandsGroup(heading);
    for (const register of commands) register(program, perform);
  }
  program.commandsGroup('Help:').helpCommand('help [command]', 'show what a command does, and its options');
  try {
    check();
    await program.parseAsync(withoutHelpWord(program, args), { from: 'user' });
    return exitCode;
  } catch (error) {
    const command = namedCommand(program, args).map((each) => each.name());
    return reportFailure(terminal, error, args.includes('--json'), { text: usage, command: command.join(' ') });
  } finally {
    run?.dispose();
  }
}

/**
 * `help A B` as `A B --help`: commander knows one word only, and answers a wrong one with the help of everything.
 *
 * @throws CommanderError for a command that there is not.
 */
function withoutHelpWord(program: Command, args: readonly string[]): readonly string[] {
  const [first, ...words] = args;
  if (first !== 'help') return args;
  const takers = [program, ...namedCommand(program, words)].flatMap(({ options }) =>
    options.filter((option) => option.required),
  );
  const isValue = (at: number): boolean =>
    at > 0 && takers.some(({ long, short }) => [long, short].includes(words[at - 1]));
  const asked = words.filter((word, at) => word !== 'help' && !word.startsWith('-') && !isValue(at));
  if (asked.length === 0) return ['help'];
  const found = namedCommand(program, asked);
  const at = asked.findIndex((word, index) => found[index]?.name() !== word);
  if (at !== -1 && (found[at - 1] ?? program).commands.length > 0)
    throw new CommanderError(exitCodes.usage, 'commander.unknownCommand', `error: unknown command '${asked[at]}'`);
  return [...found.map((command) => command.name()), '--help'];
}

/** The command that a command line names, below those that it belongs to. */
function namedCommand(program: Command, args: readonly string[]): Command[] {
  const found: Command[] = [];
  for (const word of args) {
    const next = (found.at(-1) ?? program).commands.find((command) => command.name() === word);
    if (next) found.push(next);
  }
  return found;
}

/** The commands under the headings of `cwm help`, in its order. */
const groups = [
  [
    'Conversations:',
    [
      registerSession,
      registerChat,
      registerSend,
      registerPrime,
      registerBranch,
      registerMemory,
      registerPrompt,
      registerState,
      registerSearch,
      registerTransfer,
    ],
  ],
  ['Windows:', [registerFreeze, registerThaw, registerClone, registerList, registerDelete, registerPin, registerPrune]],
  ['Folders and projects:', [registerOpen, registerProject, registerBase, registerTrust]],
  ['Model servers:', [registerUse, registerModel, registerDoctor, registerDemo]],
  ['Other programs:', [registerConnect, registerClients, registerMcp]],
  ['Storage:', [registerUsage, registerVerify, registerTrash, registerBackup, registerAudit, registerEncryption]],
  ['Backend:', [registerStatus, registerMetrics, registerServe, registerStop]],
] as const;
