import { serveStdio, StdioServerTransport } from '@modelcontextprotocol/server/stdio';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { entryPointPath } from '../base/entryPoint.ts';
import { backendClient } from '../client/connectBackend.ts';
import { makeServer } from './makeServer.ts';
import type { McpParts } from './mcpParts.ts';

export interface McpOptions extends Omit<McpParts, 'backend'> {
  /** The storage directory, absolute. */
  readonly storage: string;
  /** Ends the server. */
  readonly signal: AbortSignal;
}

/**
 * Serves one client on standard input and output until it closes its end or `signal` aborts. The backend is found, or started, with the
 * first call: a client that only lists the tools starts none.
 */
export async function serveMcp({ storage, signal, ...parts }: McpOptions): Promise<void> {
  const backend = backendClient({
    storage,
    kind: 'mcp',
    start: { nodePath: process.execPath, entry: entryPointPath('backend', import.meta.url) },
    engineKey: async () => process.env['CWM_API_KEY'],
    engineKeyFor: process.env['CWM_API_KEY_FOR'] || undefined,
    workingDirectory: process.cwd(),
  });
  try {
    await serveStreams({ ...parts, backend }, process.stdin, process.stdout, signal);
  } finally {
    backend.dispose();
  }
}

/** Serves the client at the other end of two streams. It decides by its first message which era of the protocol it speaks. */
export async function serveStreams(
  parts: McpParts,
  input: Readable,
  output: Writable,
  signal: AbortSignal,
): Promise<void> {
  const ended = new AbortController();
  for (const event of ['end', 'close']) input.once(event, () => ended.abort());
  const connection = serveStdio(({ era }) => makeServer(parts, era === 'modern'), {
    transport: new StdioServerTransport(input, output),
    onerror: (error) => process.stderr.write(`cwm mcp: ${error.message}\n`),
  });
  const over = AbortSignal.any([signal, ended.signal]);
  if (!over.aborted) await once(over, 'abort');
  await connection.close();
}
