import { McpServer } from '@modelcontextprotocol/server';
import { productVersion } from '../protocol/version.ts';
import type { McpParts } from './mcpParts.ts';
import { registerPrompts } from './registerPrompts.ts';
import { registerResources } from './registerResources.ts';
import { registerTools } from './registerTools.ts';
import { tellChanges } from './tellChanges.ts';

const instructions =
  'Context Window Manager stores conversations with a local model server. A session is a conversation. A window is a stored snapshot of ' +
  'one, with its KV cache. Freeze a session to store it, thaw a window to continue it. Verdicts are measured: only "proven" and ' +
  '"reused" mean that the model server reused the KV cache.';

const readOnly =
  ' This client may only read: tools that change something are switched off for it, and only a person can switch them on.';

/** One server for one connection, with everything that it offers. @param isModern which form of the protocol its client speaks. */
export function makeServer(parts: McpParts, isModern: boolean): McpServer {
  const server = serverOf(parts);
  const changes = tellChanges(server, parts, isModern);
  // The package has no other way to say it.
  // oxlint-disable-next-line unicorn/prefer-add-event-listener
  server.server.onclose = () => changes.dispose();
  return server;
}

/** A server that tells no changes: it answers one request. */
export function serverOf(parts: McpParts): McpServer {
  const server = new McpServer(
    { name: 'context-window-manager', title: 'Context Window Manager', version: productVersion },
    {
      instructions: parts.tools === 'all' ? instructions : instructions + readOnly,
      capabilities: { resources: { subscribe: true, listChanged: true } },
    },
  );
  registerTools(server, parts);
  registerResources(server, parts);
  registerPrompts(server, parts);
  return server;
}
