import { runCommandLine } from '../../../src/cli/program.ts';
import type { Terminal } from '../../../src/cli/terminal/terminal.ts';
import { linesOf, type ScriptedPrompter } from './scriptedPrompter.ts';

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A terminal that keeps what is written to it. */
export class FakeTerminal implements Terminal {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly isWatched: boolean;
  readonly interrupted: AbortSignal;
  readonly person: ScriptedPrompter;
  /** Hears each piece of stdout. */
  onOut: () => void = () => undefined;
  stdout = '';
  stderr = '';

  constructor(
    fields: Partial<Pick<Terminal, 'env' | 'cwd' | 'isWatched' | 'interrupted'>> & {
      readonly prompter?: ScriptedPrompter;
    } = {},
  ) {
    this.env = fields.env ?? {};
    this.cwd = fields.cwd ?? '/somewhere';
    this.isWatched = fields.isWatched ?? false;
    this.person = fields.prompter ?? linesOf([]);
    this.interrupted = fields.interrupted ?? new AbortController().signal;
  }

  out(text: string): void {
    this.stdout += text;
    this.onOut();
  }

  err(text: string): void {
    this.stderr += text;
  }

  async readStdin(): Promise<string> {
    return '';
  }

  prompter(): ScriptedPrompter {
    return this.person;
  }
}

/** Runs a command line in this process. */
export async function runInProcess(...args: string[]): Promise<Outcome> {
  const terminal = new FakeTerminal();
  const code = await runCommandLine(args, terminal);
  return { code, stdout: terminal.stdout, stderr: terminal.stderr };
}
