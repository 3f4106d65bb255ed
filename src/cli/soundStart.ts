import { readFileSync } from 'node:fs';
import { CwmError } from '../protocol/errors.ts';

/** The first Node.js that runs every part: the bundles are made for it. */
const neededMajor = 22;

/**
 * Refuses what would fail later in words that nobody understands: an old Node.js, and a command line whose bytes Node.js has replaced.
 *
 * @param commandLine the bytes of the arguments, where the system shows them; null where it does not.
 * @throws CwmError InvalidConfig, InvalidParameter.
 */
export function requireSoundStart(
  nodeVersion: string,
  args: readonly string[],
  commandLine: () => Uint8Array | null,
): void {
  if (Number.parseInt(nodeVersion, 10) < neededMajor) {
    throw new CwmError('InvalidConfig', `cwm needs Node.js ${neededMajor} or later; this is ${nodeVersion}.`, {
      hint: 'Install a newer Node.js, or start cwm with one: /path/to/node dist/cli.js.',
    });
  }
  // Somebody may mean this very character, so the bytes decide.
  if (!args.some((arg) => arg.includes('\uFFFD'))) return;
  const bytes = commandLine();
  if (bytes === null || isUtf8(bytes)) return;
  throw new CwmError(
    'InvalidParameter',
    'The command line is not UTF-8 text, perhaps in Latin-1 or another old encoding.',
    {
      hint: 'Set the terminal to UTF-8, or give the text on standard input (cwm send SESSION -).',
    },
  );
}

/** Linux alone shows them. */
export function ownCommandLine(): Uint8Array | null {
  try {
    return readFileSync('/proc/self/cmdline');
  } catch {
    return null;
  }
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
