import type { Readable, Writable } from 'node:stream';
import { createInterface } from 'node:readline';

/** The two forms of the protocol: with a handshake at first (2025), and with everything in each request (2026). */
export const eras = ['legacy', 'modern'] as const;
export type Era = (typeof eras)[number];

export interface McpResult {
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly code: number; readonly message: string };
}

export interface ToolResult {
  readonly isError?: boolean;
  readonly content: readonly { readonly type: string; readonly text: string }[];
  readonly structuredContent?: Record<string, unknown>;
  readonly resultType?: string;
  readonly inputRequests?: Record<string, { method: string; params: Record<string, unknown> }>;
  readonly _meta?: Record<string, { code?: string }>;
}

interface Message {
  readonly id?: number | string;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
}

export interface ClientOptions {
  readonly era: Era;
  readonly capabilities?: object;
  /** Answers what the server asks of a client in the form of 2025. */
  readonly onAsked?: (method: string, params: Record<string, unknown>) => object;
}

/** A client that writes the lines of the protocol itself, so that a test sees what any program would. */
export class McpClient {
  readonly notifications: Message[] = [];
  readonly #options: ClientOptions;
  readonly #toServer: Writable;
  readonly #waiting = new Map<number, (answer: McpResult) => void>();
  readonly #heard: (() => void)[] = [];
  #lastId = 0;

  private constructor(options: ClientOptions, toServer: Writable, fromServer: Readable) {
    this.#options = options;
    this.#toServer = toServer;
    createInterface({ input: fromServer }).on('line', (line) => this.#take(JSON.parse(line) as Message));
  }

  /** @param fromServer every line of it must be a message. */
  static async open(options: ClientOptions, toServer: Writable, fromServer: Readable): Promise<McpClient> {
    const client = new McpClient(options, toServer, fromServer);
    if (options.era === 'legacy') {
      await client.request('initialize', {
        protocolVersion: '2025-11-25',
        capabilities: options.capabilities ?? {},
        clientInfo: { name: 'test', version: '1' },
      });
      client.notify('notifications/initialized');
    }
    return client;
  }

  get lastId(): number {
    return this.#lastId;
  }

  async request(method: string, params: Record<string, unknown> = {}): Promise<McpResult> {
    const id = ++this.#lastId;
    const answered = new Promise<McpResult>((resolve) => this.#waiting.set(id, resolve));
    this.#write({ id, method, params: this.#stamped(params) });
    return await answered;
  }

  async call(name: string, args: object = {}, params: Record<string, unknown> = {}): Promise<ToolResult> {
    const { result, error } = await this.request('tools/call', { name, arguments: args, ...params });
    if (!result) throw new Error(`${error?.code} ${error?.message}`);
    return result as unknown as ToolResult;
  }

  notify(method: string, params: Record<string, unknown> = {}): void {
    this.#write({ method, params });
  }

  /** Resolves with the first notification of this method, which may have come already. */
  async heard(method: string): Promise<Message> {
    for (;;) {
      const found = this.notifications.find((each) => each.method === method);
      if (found) return found;
      await new Promise<void>((resolve) => this.#heard.push(resolve));
    }
  }

  /** Closes the client's end, as a program that ends does. */
  end(): void {
    this.#toServer.end();
  }

  #stamped(params: Record<string, unknown>): Record<string, unknown> {
    if (this.#options.era === 'legacy') return params;
    const stamp = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
      'io.modelcontextprotocol/clientCapabilities': this.#options.capabilities ?? {},
    };
    return { ...params, _meta: { ...(params['_meta'] as object | undefined), ...stamp } };
  }

  #write(message: object): void {
    this.#toServer.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  }

  #take(message: Message): void {
    const { id, method, params = {} } = message;
    if (method !== undefined && id !== undefined) {
      this.#write({ id, result: this.#options.onAsked?.(method, params) ?? {} });
    } else if (method !== undefined) {
      this.notifications.push(message);
      for (const resolve of this.#heard.splice(0)) resolve();
    } else if (typeof id === 'number') {
      this.#waiting.get(id)?.(message);
      this.#waiting.delete(id);
    }
  }
}
