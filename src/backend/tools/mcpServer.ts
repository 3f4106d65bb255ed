import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { getDefaultEnvironment, StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { ToolListChangedNotificationSchema, type CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import { unlessAborted } from '../../base/unlessAborted.ts';
import type { Tool, ToolAnswer } from '../../core/ports/tools.ts';
import type { JsonObject } from '../../protocol/schemas/tracker.ts';
import { productVersion } from '../../protocol/version.ts';
import { ArgumentsCheck } from './argumentsCheck.ts';
import type { McpServerConfig } from './mcpConfig.ts';

const startMs = 20_000;
const mostTools = 128;
const mostPages = 20;
const mostDescription = 1024;

/** A connection to an MCP server, which it starts where that is a program. */
export class McpServer {
  readonly #client: Client;
  /** Its tools under the names that it gives them; null until they are asked for. */
  #tools: Promise<readonly Tool[]> | null = null;
  readonly #check = new ArgumentsCheck();
  #isOpen = true;

  private constructor(client: Client) {
    this.#client = client;
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the SDK's client has no events
    client.onclose = () => (this.#isOpen = false);
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => void (this.#tools = null));
  }

  /**
   * @param cwd folder of a program that names none.
   * @param signal ends the start.
   * @throws Error when it does not start, or is no MCP server.
   */
  static async start(config: McpServerConfig, cwd: string, signal: AbortSignal): Promise<McpServer> {
    const client = new Client({ name: 'context-window-manager', version: productVersion });
    const { transport, said } = transportOf(config, cwd);
    const server = new McpServer(client);
    try {
      await client.connect(transport, { timeout: startMs, signal });
      return server;
    } catch (error) {
      await client.close().catch(() => undefined);
      const last = said().trim().split('\n').at(-1) ?? '';
      throw new Error(`${(error as Error).message}${last === '' ? '' : ` (${last.slice(0, 200)})`}`, { cause: error });
    }
  }

  /** False once the connection is closed, or the program has ended. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  tools(): Promise<readonly Tool[]> {
    this.#tools ??= this.#list().catch((error: unknown) => {
      this.#tools = null;
      throw error;
    });
    return this.#tools;
  }

  async call(name: string, given: JsonObject, signal: AbortSignal): Promise<ToolAnswer> {
    const tool = (await unlessAborted(this.tools(), signal)).find((each) => each.name === name);
    const problem = tool ? this.#check.problemOf(tool, given) : null;
    if (problem !== null) {
      const text = `The arguments do not fit the schema of the tool: ${problem}. The tool did not run.`;
      return { text, hasFailed: true };
    }
    // The caller has a time limit of its own, which the signal brings.
    const options = { signal, timeout: 2 ** 31 - 1 };
    const result = (await this.#client.callTool(
      { name, arguments: { ...given } },
      undefined,
      options,
    )) as CallToolResult;
    return { text: textOf(result), hasFailed: result.isError === true };
  }

  /** Ends the program, too. */
  async close(): Promise<void> {
    await this.#client.close().catch(() => undefined);
  }

  async #list(): Promise<readonly Tool[]> {
    const tools: Tool[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < mostPages && tools.length < mostTools; page++) {
      const found = await this.#client.listTools(cursor === undefined ? {} : { cursor }, { timeout: startMs });
      for (const { name, description = '', inputSchema, annotations } of found.tools) {
        tools.push({
          name,
          description: description.slice(0, mostDescription),
          inputSchema,
          readsOnly: annotations?.readOnlyHint === true,
          // The protocol's default for a tool of which the server says that it changes something.
          isDestructive: annotations?.destructiveHint ?? annotations?.readOnlyHint === false,
        });
      }
      cursor = found.nextCursor;
      if (cursor === undefined) break;
    }
    return tools.slice(0, mostTools);
  }
}

function transportOf(config: McpServerConfig, cwd: string): { transport: Transport; said: () => string } {
  if (config.kind === 'stdio') {
    const { command, args, env } = config;
    const transport = new StdioClientTransport({
      command,
      args: [...args],
      env: { ...getDefaultEnvironment(), ...env },
      cwd: config.cwd ?? cwd,
      stderr: 'pipe',
    });
    let said = '';
    transport.stderr?.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-2000)));
    return { transport, said: () => said };
  }
  const url = new URL(config.url);
  const requestInit = { headers: { ...config.headers } };
  const transport =
    config.kind === 'sse'
      ? new SSEClientTransport(url, { requestInit })
      : new StreamableHTTPClientTransport(url, { requestInit });
  return { transport, said: () => '' };
}

/** What a model can read of a result: its texts. What is no text is named. */
function textOf({ content, structuredContent }: CallToolResult): string {
  const parts = content.map((part) => {
    if (part.type === 'text') return part.text;
    if (part.type === 'resource' && 'text' in part.resource) return part.resource.text;
    if (part.type === 'resource_link') return `[${part.uri}]`;
    return `[${part.type}]`;
  });
  const text = parts.join('\n');
  return text === '' && structuredContent !== undefined ? JSON.stringify(structuredContent) : text;
}
