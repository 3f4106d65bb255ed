#!/usr/bin/env node
import { runCommandLine } from './program.ts';
import { processTerminal } from './terminal/terminal.ts';

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // The first one aborts the operation; whoever asks again wants out at once. Either way the backend rolls it back.
  process.on(signal, () => (interrupted.signal.aborted ? process.exit(130) : interrupted.abort()));
}
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // A reader that has seen enough (`| head`) is no failure; what still goes on is ended in order, with what it had started.
    if (error.code === 'EPIPE') return interrupted.abort();
    if (stream === process.stdout) process.stderr.write(`cwm: The output can't be written (${error.message}).\n`);
    process.exit(1);
  });
}

process.exitCode = await runCommandLine(process.argv.slice(2), processTerminal(interrupted.signal));
