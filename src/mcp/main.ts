#!/usr/bin/env node
import { realpathSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { absolutePath } from '../client/absolutePath.ts';
import { storagePath } from '../client/storagePath.ts';
import { withAbsoluteModel } from '../protocol/engineSpec.ts';
import { toCwmError } from '../protocol/errors.ts';
import { problemText } from '../words/failure.ts';
import { McpOverHttp } from './overHttp.ts';
import { serveMcp } from './serveMcp.ts';

// `cwm mcp` and the backend load this file for the exports; a client that starts the file itself needs no second process.
export { McpOverHttp, runMcp, serveMcp };

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename) {
  const stopped = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort());
  if (!(await runMcp(process.argv.slice(2), stopped.signal))) {
    process.stderr.write('cwm mcp: usage: mcp.js [--storage DIR] [--engine SPEC] [--allow-force] [--read-only]\n');
    process.exitCode = 2;
  }
}

/** Serves one client until it goes or `signal` aborts. @returns false, without having done anything, for arguments that it does not know. */
async function runMcp(args: readonly string[], signal: AbortSignal): Promise<boolean> {
  const given = parsed(args);
  if (!given) return false;
  try {
    const cwd = process.cwd();
    await serveMcp({
      storage: storagePath(given.storage, process.env, cwd),
      engine: given.engine && withAbsoluteModel(given.engine, (path) => absolutePath(path, cwd)),
      allowForce: given['allow-force'] ?? false,
      tools: given['read-only'] ? 'read' : 'all',
      signal,
    });
  } catch (error) {
    process.stderr.write(`cwm mcp: ${problemText(toCwmError(error))}\n`);
    process.exitCode = 1;
  }
  return true;
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        storage: { type: 'string' },
        engine: { type: 'string' },
        'allow-force': { type: 'boolean' },
        'read-only': { type: 'boolean' },
      },
    }).values;
  } catch {
    return null;
  }
}
