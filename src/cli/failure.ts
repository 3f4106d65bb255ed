import { CommanderError } from 'commander';
import { errors, toCwmError, type ErrorReport } from '../protocol/errors.ts';
import { whatHappened } from '../words/failure.ts';
import { readableText } from '../base/readableText.ts';
import type { Terminal } from './terminal/terminal.ts';

export const exitCodes = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/**
 * Reports what went wrong and what to do: in words, or to a script as one JSON object.
 *
 * @param usage the help text, for a command line without a command.
 * @returns the exit code.
 */
export function reportFailure(terminal: Terminal, thrown: unknown, json: boolean, usage: string): number {
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
function reportUsage(terminal: Terminal, error: CommanderError, json: boolean, usage: string): number {
  if (error.exitCode === 0) return exitCodes.ok;
  const isHelp = error.code === 'commander.help';
  const message = isHelp ? 'No command was given.' : sentence(error.message.replace(/^error: /, ''));
  const hint = 'Run "cwm --help" or "cwm COMMAND --help" to see the commands and their options.';
  if (json) writeReport(terminal, { code: errors.InvalidParameter.code, message, retryable: false, hint });
  else terminal.err(isHelp ? usage : `cwm: ${message}\n     ${hint}\n`);
  return exitCodes.usage;
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;

const writeReport = (terminal: Terminal, report: ErrorReport): void => terminal.err(`${JSON.stringify(report)}\n`);
