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
export { McpOverHttp, serveMcp };

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename) await main();

async function main(): Promise<void> {
  const stopped = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort());
  try {
    const { values } = parseArgs({
      options: { storage: { type: 'string' }, engine: { type: 'string' }, 'allow-force': { type: 'boolean' } },
    });
    const cwd = process.cwd();
    await serveMcp({
      storage: storagePath(values.storage, process.env, cwd),
      engine: values.engine && withAbsoluteModel(values.engine, (path) => absolutePath(path, cwd)),
      allowForce: values['allow-force'] ?? false,
      signal: stopped.signal,
    });
  } catch (error) {
    process.stderr.write(`cwm mcp: ${problemText(toCwmError(error))}\n`);
    process.exitCode = 1;
  }
}
