import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { expect, onTestFinished, test } from 'vitest';
import { McpServer } from '../../../src/backend/tools/mcpServer.ts';

const never = new AbortController().signal;

/** Parts of a result, by the tool that gives them. */
const results = {
  mixed: {
    content: [
      { type: 'text', text: 'a text' },
      { type: 'resource', resource: { uri: 'file:///a', text: 'the text of a file' } },
      { type: 'resource', resource: { uri: 'file:///b', blob: 'AAAA' } },
      { type: 'resource_link', uri: 'file:///c', name: 'c' },
      { type: 'image', data: 'AAAA', mimeType: 'image/png' },
    ],
  },
  structured: { content: [], structuredContent: { answer: 42 } },
};

/** An MCP server in the older form over HTTP. @param failures how often it cannot list its tools. */
async function serverOverSse(failures = 0): Promise<string> {
  const transports = new Map<string, SSEServerTransport>();
  let left = failures;
  const open = async (res: ServerResponse): Promise<void> => {
    const server = new Server({ name: 'older', version: '1' }, { capabilities: { tools: {} } });
    server.setRequestHandler(ListToolsRequestSchema, () => {
      if (left-- > 0) throw new Error('not yet');
      return { tools: Object.keys(results).map((name) => ({ name, inputSchema: { type: 'object' as const } })) };
    });
    server.setRequestHandler(CallToolRequestSchema, ({ params }) => results[params.name as keyof typeof results]);
    const transport = new SSEServerTransport('/messages', res);
    transports.set(transport.sessionId, transport);
    await server.connect(transport);
  };
  const answer = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    if (req.method === 'GET') return await open(res);
    const session = new URL(req.url ?? '', 'http://a').searchParams.get('sessionId') ?? '';
    await transports.get(session)?.handlePostMessage(req, res);
  };
  const http = createServer((req, res) => void answer(req, res));
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    http.closeAllConnections();
    http.close();
  });
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}/sse`;
}

async function started(failures?: number): Promise<McpServer> {
  const config = { kind: 'sse', url: await serverOverSse(failures), headers: {} } as const;
  const server = await McpServer.start(config, '/', never);
  onTestFinished(() => server.close());
  return server;
}

test('S4-14 a server in the older form over HTTP works, and the model gets the texts of a result and the names of the rest', async () => {
  const server = await started();
  expect((await server.tools()).map(({ name }) => name)).toEqual(['mixed', 'structured']);
  expect(await server.call('mixed', {}, never)).toEqual({
    text: 'a text\nthe text of a file\n[resource]\n[file:///c]\n[image]',
    hasFailed: false,
  });
  expect(await server.call('structured', {}, never)).toEqual({ text: '{"answer":42}', hasFailed: false });
});

test('S4-14 a list of tools that failed is asked for again', async () => {
  const server = await started(1);
  await expect(server.tools()).rejects.toThrow('not yet');
  expect(await server.tools()).toHaveLength(2);
});
