#!/usr/bin/env node
import { runCommandLine } from './program.ts';
import { ownCommandLine, requireSoundStart } from './soundStart.ts';
import { processTerminal } from './terminal/terminal.ts';

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // The first signal aborts the operation, the second one ends the process. The backend rolls the operation back either way.
  process.on(signal, () => (interrupted.signal.aborted ? process.exit(130) : interrupted.abort()));
}
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // A reader that closes the pipe early (`| head`) is not a failure: the operation is aborted in order.
    if (error.code === 'EPIPE') return interrupted.abort();
    if (stream === process.stdout) process.stderr.write(`cwm: The output cannot be written (${error.message}).\n`);
    process.exit(1);
  });
}

const args = process.argv.slice(2);
process.exitCode = await runCommandLine(args, processTerminal(interrupted.signal), () =>
  requireSoundStart(process.versions.node, args, ownCommandLine),
);
