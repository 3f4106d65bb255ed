import { CommanderError } from 'commander';
import { errors, toCwmError, type ErrorReport } from '../protocol/errors.ts';
import { readableText } from './terminal/readableText.ts';
import type { Terminal } from './terminal/terminal.ts';

export const exitCodes = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/**
 * Tells the user what went wrong and what to do, or a script as one JSON object.
 *
 * @param usage the help text, for whoever gave no command at all.
 * @returns the exit code.
 */
export function reportFailure(terminal: Terminal, thrown: unknown, json: boolean, usage: string): number {
  if (thrown instanceof CommanderError) return reportUsage(terminal, thrown, json, usage);
  const error = toCwmError(thrown);
  if (json) writeReport(terminal, error.report());
  else {
    const hint = error.hint === '' ? '' : `     ${error.hint}\n`;
    terminal.err(readableText(`cwm: ${error.message} (${error.code})\n${hint}`));
  }
  return terminal.interrupted.aborted ? exitCodes.interrupted : exitCodes.failed;
}

/** Help and version are no failures; they have been printed by now. */
function reportUsage(terminal: Terminal, error: CommanderError, json: boolean, usage: string): number {
  if (error.exitCode === 0) return exitCodes.ok;
  const isHelp = error.code === 'commander.help';
  const message = isHelp ? 'No command was given.' : sentence(error.message.replace(/^error: /, ''));
  const hint = 'Run "cwm --help", or "cwm COMMAND --help", to see what is possible.';
  if (json) writeReport(terminal, { code: errors.InvalidParameter.code, message, retryable: false, hint });
  else terminal.err(isHelp ? usage : `cwm: ${message}\n     ${hint}\n`);
  return exitCodes.usage;
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;

const writeReport = (terminal: Terminal, report: ErrorReport): void => terminal.err(`${JSON.stringify(report)}\n`);
