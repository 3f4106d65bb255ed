import { CommanderError } from 'commander';
import { errors, toCwmError, type ErrorReport } from '../protocol/errors.ts';
import { whatHappened } from '../words/failure.ts';
import { readableText } from '../base/readableText.ts';
import type { Terminal } from './terminal/terminal.ts';

export const exitCodes = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

interface Usage {
  readonly text: string;
  readonly command: string;
}

/**
 * Reports what went wrong and what to do: in words, or to a script as one JSON object.
 *
 * @param usage the help text, for a command line without a command, and the command that was named, like "session new".
 * @returns the exit code.
 */
export function reportFailure(
  terminal: Terminal,
  thrown: unknown,
  json: boolean,
  usage: Usage = { text: '', command: '' },
): number {
  if (thrown instanceof CommanderError) return reportUsage(terminal, thrown, json, usage);
  const error = toCwmError(thrown);
  if (json) writeReport(terminal, error.report());
  else {
    const hint = error.hint === '' ? '' : `     ${error.hint}\n`;
    terminal.err(readableText(`cwm: ${whatHappened(error)}\n${hint}`));
  }
  return terminal.interrupted.aborted ? exitCodes.interrupted : exitCodes.failed;
}

/** Help and version are not failures: commander has printed them. */
function reportUsage(terminal: Terminal, error: CommanderError, json: boolean, usage: Usage): number {
  if (error.exitCode === 0) return exitCodes.ok;
  const isHelp = error.code === 'commander.help';
  const message = isHelp ? 'No command was given.' : sentence(error.message.replace(/^error: /, ''));
  const hint =
    usage.command === ''
      ? 'Run "cwm --help" to see the commands.'
      : `Run "cwm ${usage.command} --help" to see what it takes.`;
  if (json) writeReport(terminal, { code: errors.InvalidParameter.code, message, retryable: false, hint });
  else terminal.err(isHelp ? usage.text : `cwm: ${message}\n     ${hint}\n`);
  return exitCodes.usage;
}

/** Commander puts a suggestion on a line of its own, in brackets, and ends with no full stop. */
function sentence(text: string): string {
  const whole = text.trim().replace(/\n\((.*)\)$/, '. $1');
  return `${whole.charAt(0).toUpperCase()}${whole.slice(1)}${/[.?!]$/.test(whole) ? '' : '.'}`;
}

const writeReport = (terminal: Terminal, report: ErrorReport): void => terminal.err(`${JSON.stringify(report)}\n`);
