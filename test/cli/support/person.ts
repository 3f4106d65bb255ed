import { runCommandLine } from '../../../src/cli/program.ts';
import { FakeTerminal, type Outcome } from './fakeTerminal.ts';
import { linesOf } from './scriptedPrompter.ts';

export interface Person {
  readonly storage: string;
  readonly cwd: string;
  /** The home folder of the user; other variables are not set. */
  readonly home?: string;
  /** What the person types when asked. */
  readonly lines?: readonly string[];
}

/** A command as a person runs it, in this process. @throws when it does not end with 0. */
export async function say({ storage, cwd, home = cwd, lines = [] }: Person, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await outcomeOf({ storage, cwd, home, lines }, ...args);
  if (code !== 0) throw new Error(`cwm ${args.join(' ')} ended with ${code}: ${stderr}`);
  return stdout;
}

/** The same, whatever it ends with. */
export async function outcomeOf({ storage, cwd, home = cwd, lines = [] }: Person, ...args: string[]): Promise<Outcome> {
  const terminal = new FakeTerminal({ env: { HOME: home }, cwd, prompter: linesOf(lines) });
  const code = await runCommandLine([...args, '--storage', storage], terminal);
  return { code, stdout: terminal.stdout, stderr: terminal.stderr };
}
