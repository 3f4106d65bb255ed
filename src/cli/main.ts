#!/usr/bin/env node
import { pathToFileURL } from 'node:url';
import { entryPointPath } from '../base/entryPoint.ts';
import { ownCommandLine, requireSoundStart } from './soundStart.ts';
import { processTerminal } from './terminal/terminal.ts';

/** The bundle of the MCP server, as far as it is used here. */
interface McpModule {
  readonly runMcp: (args: readonly string[], signal: AbortSignal) => Promise<boolean>;
}

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
const check = (): void => requireSoundStart(process.versions.node, args, ownCommandLine);
if (!(await servesMcp())) {
  const { runCommandLine } = await import('./program.ts');
  process.exitCode = await runCommandLine(args, processTerminal(interrupted.signal), check);
}

/** A client of MCP waits for each start of its server, which needs nothing of the other commands. @returns false for any other command line. */
async function servesMcp(): Promise<boolean> {
  if (args[0] !== 'mcp' || !isSound()) return false;
  const { runMcp } = (await import(pathToFileURL(entryPointPath('mcp', import.meta.url)).href)) as McpModule;
  return await runMcp(args.slice(1), interrupted.signal);
}

/** What is not is reported where every command's failures are. */
function isSound(): boolean {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}
