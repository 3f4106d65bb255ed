import { HarnessError } from './harnessError.ts';
import { startGuarded } from './guardedProcess.ts';
import type { GuardedOptions } from './guardedProcess.ts';
import { holdWhileEnding } from './shutdown.ts';
import { within } from './waitUntil.ts';

export interface CommandOptions extends GuardedOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a command to its end and returns the last few thousand characters of its output.
 * @throws {HarnessError} with that output when it fails or takes longer than `timeoutMs`; the signal's reason on abort. In all
 * cases nothing that it started goes on.
 */
export async function runCommand(command: string, args: readonly string[], options: CommandOptions): Promise<string> {
  options.signal?.throwIfAborted();
  const running = startGuarded(command, args, options);
  const abort = (): void => void running.stop();
  options.signal?.addEventListener('abort', abort, { once: true });
  const end = await within(running.exited, options.timeoutMs);
  options.signal?.removeEventListener('abort', abort);
  await running.stop(); // waits for the last of the output, too
  await holdWhileEnding();
  options.signal?.throwIfAborted();
  const shown = `${command} ${args.join(' ')}`;
  if (end === undefined)
    throw new HarnessError(`Not done after ${options.timeoutMs / 1000} s: ${shown}`, [running.tail()]);
  if (end.code !== 0) throw new HarnessError(`Failed (exit code ${end.code}): ${shown}`, [running.tail()]);
  return running.tail();
}
