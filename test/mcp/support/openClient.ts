import { PassThrough } from 'node:stream';
import { onTestFinished } from 'vitest';
import type { McpParts } from '../../../src/mcp/mcpParts.ts';
import { serveStreams } from '../../../src/mcp/serveMcp.ts';
import { McpClient, type ClientOptions } from './mcpClient.ts';

type OpenOptions = ClientOptions &
  Pick<McpParts, 'backend'> &
  Partial<Pick<McpParts, 'engine' | 'allowForce' | 'tools'>>;

/** A client of a server in this process. @returns also what ends the connection and waits for the server's end. */
export async function connect(options: OpenOptions): Promise<{ client: McpClient; leave: () => Promise<void> }> {
  const [toServer, fromServer] = [new PassThrough(), new PassThrough()];
  const { backend, engine, allowForce = false, tools = 'all' } = options;
  const served = serveStreams(
    { backend, engine, allowForce, tools },
    toServer,
    fromServer,
    new AbortController().signal,
  );
  const client = await McpClient.open(options, toServer, fromServer);
  const leave = async (): Promise<void> => {
    client.end();
    await served;
  };
  return { client, leave };
}

/** A client of a server in this process, which leaves when the test ends. */
export async function openClient(options: OpenOptions): Promise<McpClient> {
  const { client, leave } = await connect(options);
  onTestFinished(leave);
  return client;
}
