import {
  ResourceTemplate,
  type McpServer,
  type ReadResourceResult,
  type ServerContext,
} from '@modelcontextprotocol/server';
import type { AgentBackend } from '../agent/agentTool.ts';
import { agentTools } from '../agent/agentTools.ts';
import { toCwmError } from '../protocol/errors.ts';
import { conversationText } from '../words/conversationText.ts';
import { problemText } from '../words/failure.ts';
import type { McpParts } from './mcpParts.ts';
import { sessionNames, windowNames } from './names.ts';
import { requestBackend } from './requestBackend.ts';
import { uriOfSession, uriOfWindow, uris } from './uris.ts';

/** More are found with the tools, which have pages. */
const mostListed = 50;
/** A resource goes whole into a model's context. */
const mostMessages = 100;

type Read = (backend: AgentBackend, name: string) => Promise<string>;

/** What a client reads without a tool, and a person attaches to a chat (S0-17). */
export function registerResources(server: McpServer, parts: McpParts): void {
  const reading = (mimeType: string, read: Read) => async (uri: URL, name: string, ctx: ServerContext) =>
    await contentsOf(uri, mimeType, () => read(requestBackend(ctx, parts), name));

  for (const { uri, title, description, read } of fixed) {
    const answer = reading(json, read);
    const config = { title, description, mimeType: json };
    server.registerResource(title, uri, config, (at, ctx) => answer(at, '', ctx));
  }

  const readWindow = reading(json, async (backend, name) =>
    JSON.stringify(await agentTools.window_status.run(backend, { window_name: name })),
  );
  server.registerResource(
    'Window',
    new ResourceTemplate(uriOfWindow('{name}'), {
      list: async (ctx) => {
        const { items } = await requestBackend(ctx, parts).call('listWindows', { limit: mostListed });
        return {
          resources: items.map(({ name, description }) => ({
            uri: uriOfWindow(name),
            name: `Window ${name}`,
            ...(description !== '' && { description }),
          })),
        };
      },
      complete: { name: (begin) => windowNames(parts.backend, begin) },
    }),
    { title: 'Window', description: 'One window: its tokens, its KV cache, its lineage.', mimeType: json },
    (uri, { name }, ctx) => readWindow(uri, String(name), ctx),
  );

  const readSession = reading(markdown, readConversation);
  server.registerResource(
    'Conversation',
    new ResourceTemplate(uriOfSession('{id}'), {
      list: async (ctx) => {
        const { items } = await requestBackend(ctx, parts).call('listSessions', { limit: mostListed });
        return { resources: items.map(({ id, title }) => ({ uri: uriOfSession(id), name: `Conversation: ${title}` })) };
      },
      complete: { id: (begin) => sessionNames(parts.backend, begin) },
    }),
    { title: 'Conversation', description: `The last ${mostMessages} messages of a session.`, mimeType: markdown },
    (uri, { id }, ctx) => readSession(uri, String(id), ctx),
  );
}

const json = 'application/json';
const markdown = 'text/markdown';

const fixed: readonly { uri: string; title: string; description: string; read: Read }[] = [
  {
    uri: uris.windows,
    title: 'Windows',
    description: 'The newest windows.',
    read: async (backend) => JSON.stringify(await agentTools.window_list.run(backend, { limit: 100 })),
  },
  {
    uri: uris.sessions,
    title: 'Sessions',
    description: 'The sessions that were changed last.',
    read: async (backend) => JSON.stringify(await agentTools.session_list.run(backend, { limit: 100 })),
  },
  {
    uri: uris.stats,
    title: 'Cache Statistics',
    description: 'How much KV cache is stored and was reused.',
    read: async (backend) => JSON.stringify(await agentTools.cache_stats.run(backend, {})),
  },
  {
    uri: uris.health,
    title: 'Health',
    description: 'Whether the store and the model servers work.',
    read: async (backend) => JSON.stringify(await agentTools.health_check.run(backend, {})),
  },
];

async function readConversation(backend: AgentBackend, id: string): Promise<string> {
  const session = await backend.call('getSession', { session: id });
  const length = session.branches[session.activeBranch]?.length ?? 0;
  const earlier = Math.max(0, length - mostMessages);
  const { items } = await backend.call('listMessages', { session: id, offset: earlier, limit: mostMessages });
  return conversationText({ title: session.title, messages: items, earlier, pending: null });
}

/** @throws an Error with our sentence, code and hint, which the package answers as an error of the protocol. */
async function contentsOf(uri: URL, mimeType: string, read: () => Promise<string>): Promise<ReadResourceResult> {
  try {
    return { contents: [{ uri: uri.href, mimeType, text: await read() }] };
  } catch (error) {
    throw new Error(problemText(toCwmError(error)), { cause: error });
  }
}
