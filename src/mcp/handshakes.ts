import { WebStandardStreamableHTTPServerTransport, type McpServer } from '@modelcontextprotocol/server';
import { randomId } from '../base/hash.ts';
import type { ToolRight } from '../protocol/routes/gateway.ts';

/** More clients at once end the connection that was unused for the longest time; its client begins another one, as the protocol says. */
const mostOpen = 64;

interface Open {
  readonly transport: WebStandardStreamableHTTPServerTransport;
  readonly owner: string;
  readonly tools: ToolRight;
}

/** What a new connection is made with. */
export interface Greeting {
  /** Whose token the client has. */
  readonly owner: string;
  /** The connection's id, which no other one has. */
  readonly id: string;
  readonly body: unknown;
  readonly tools: ToolRight;
}

/** Connections of clients that begin with a handshake (2025-11-25 and earlier): each lasts for many requests, and is found by its id. */
export class Handshakes {
  /** The one that was used last comes last. */
  readonly #open = new Map<string, Open>();
  readonly #makeServer: (greeting: Greeting) => McpServer;

  constructor(makeServer: (greeting: Greeting) => McpServer) {
    this.#makeServer = makeServer;
  }

  async fetch(request: Request, { owner, body, tools }: Omit<Greeting, 'id'>): Promise<Response> {
    const id = request.headers.get('mcp-session-id');
    if (id === null) return await this.#begin(request, { owner, id: randomId(), body, tools });
    const open = this.#open.get(id);
    // One that was begun with another right does not go on with it.
    if (!open || open.owner !== owner || open.tools !== tools) return unknownSession();
    this.#open.delete(id);
    this.#open.set(id, open);
    return await open.transport.handleRequest(request, { parsedBody: body });
  }

  /** @param owner whose connections end. Default: everybody's. */
  async close(owner?: string): Promise<void> {
    const ending = [...this.#open.values()].filter((open) => owner === undefined || open.owner === owner);
    await Promise.all(ending.map(({ transport }) => transport.close()));
  }

  async #begin(request: Request, greeting: Greeting): Promise<Response> {
    const { owner, id, body, tools } = greeting;
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => id,
      onsessioninitialized: () => this.#add(id, { transport, owner, tools }),
    });
    const server = this.#makeServer(greeting);
    await server.connect(transport);
    const told = server.server.onclose;
    // oxlint-disable-next-line unicorn/prefer-add-event-listener
    server.server.onclose = () => {
      this.#open.delete(id);
      told?.();
    };
    const answer = await transport.handleRequest(request, { parsedBody: body });
    // It was no handshake, and has been refused.
    if (!this.#open.has(id)) await server.close();
    return answer;
  }

  #add(id: string, open: Open): void {
    const [longestUnused] = this.#open.values();
    if (this.#open.size >= mostOpen) void longestUnused?.transport.close();
    this.#open.set(id, open);
  }
}

function unknownSession(): Response {
  const error = { code: -32_001, message: 'There is no such session. Begin another one with "initialize".' };
  return Response.json({ jsonrpc: '2.0', error, id: null }, { status: 404 });
}
