import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { composeServices } from '../../../src/backend/compose.ts';
import { startBackend } from '../../../src/backend/runningBackend.ts';
import { BackendClient } from '../../../src/client/backendClient.ts';
import { findBackend } from '../../../src/client/findBackend.ts';

/**
 * The whole backend over its socket, with a public MCP server that nobody here wrote.
 *
 * @param cleanUps receives what ends it.
 */
export async function productWithTools(
  cleanUps: (() => Promise<unknown>)[],
  embeddedArgs: readonly string[] = [],
): Promise<BackendClient> {
  const storage = await mkdtemp(join(tmpdir(), 'cwm-tools-'));
  cleanUps.push(() => rm(storage, { recursive: true, force: true }));
  const require = createRequire(import.meta.url);
  const program = require.resolve('@modelcontextprotocol/server-everything/package.json');
  const { bin } = require(program) as { bin: Record<string, string> };
  const all = { command: process.execPath, args: [join(dirname(program), Object.values(bin)[0] ?? '')] };
  await writeFile(join(storage, 'mcp.json'), JSON.stringify({ servers: { all } }));
  // Between two tries nobody needs to wait here.
  const sleep = async (_: number, signal: AbortSignal): Promise<void> => signal.throwIfAborted();
  const options = { defaultEngine: null, embeddedArgs, ratePerMinute: 60, sleep };
  const backend = await startBackend({ storage, idleMs: 0, graceMs: 0 }, composeServices(options));
  if (!backend) throw new Error('The storage directory is taken.');
  cleanUps.push(() => backend.stop('the test is over'));
  const client = new BackendClient({
    start: async () => backend.record,
    find: (signal) => findBackend({ storage }, signal),
  });
  cleanUps.push(async () => client.dispose());
  return client;
}
