import { McpServer } from '@modelcontextprotocol/server';
import { productVersion } from '../protocol/version.ts';
import type { McpParts } from './mcpParts.ts';
import { registerTools } from './registerTools.ts';

const instructions =
  'Context Window Manager stores conversations with a local model server. A session is a conversation. A window is a stored snapshot of ' +
  'one, with its KV cache. Freeze a session to store it, thaw a window to continue it. Verdicts are measured: only "proven" and ' +
  '"reused" mean that the model server reused the KV cache.';

/** One server for one connection, with everything that it offers. */
export function makeServer(parts: McpParts): McpServer {
  const server = new McpServer(
    { name: 'context-window-manager', title: 'Context Window Manager', version: productVersion },
    { instructions },
  );
  registerTools(server, parts);
  return server;
}
