import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Tool, ToolAnswer, ToolBox } from '../../core/ports/tools.ts';
import { unlessAborted } from '../../base/unlessAborted.ts';
import { isDangerous } from '../../core/tools/policy.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { ProjectUri } from '../../protocol/ids.ts';
import type { JsonObject } from '../../protocol/schemas/tracker.ts';
import { clientKind, currentClient, httpClientKind } from '../requestScope.ts';
import { readMcpConfig, type McpServerConfig } from './mcpConfig.ts';
import type { McpServer } from './mcpServer.ts';
import { callWorkspaceTool, workspaceTools } from './workspaceTools.ts';

/** What a model may call a tool. */
const toolName = /^[A-Za-z0-9_-]{1,64}$/;

interface Running {
  /** As it was started. */
  readonly config: string;
  readonly started: Promise<McpServer>;
}

interface Place {
  readonly server: McpServer;
  /** As the server calls it. */
  readonly name: string;
}

export interface MachineToolsOptions {
  /** The user's own MCP servers, in the format of `.vscode/mcp.json`. */
  readonly userConfig: string;
  /** Whether the servers that a project names may be started. */
  readonly isTrusted: (project: ProjectUri) => Promise<boolean>;
}

/** The workspace's tools, and those of MCP servers: a server is started when a session first needs it, and again when it has died. */
export class MachineTools implements ToolBox {
  readonly #options: MachineToolsOptions;
  /** By the file that names it, and its name there. */
  readonly #servers = new Map<string, Running>();
  readonly #closing = new AbortController();

  constructor(options: MachineToolsOptions) {
    this.#options = options;
  }

  async list(
    project: ProjectUri | null,
    signal: AbortSignal,
  ): Promise<{ readonly tools: readonly Tool[]; readonly notes: readonly string[] }> {
    // Tools read the user's files and run the user's programs.
    if (clientKind(currentClient()) === httpClientKind)
      return { tools: [], notes: ['Clients over TCP get no tools, so the model was offered none.'] };
    const { tools, notes } = await unlessAborted(this.#find(project), signal);
    const own = folderOf(project) === null ? [] : workspaceTools;
    const all = [...own, ...[...tools].map(([name, { tool }]) => ({ ...tool, name }))];
    return { tools: all.sort((a, b) => (a.name < b.name ? -1 : 1)), notes };
  }

  async call(project: ProjectUri | null, name: string, given: JsonObject, signal: AbortSignal): Promise<ToolAnswer> {
    const folder = folderOf(project);
    if (folder !== null && workspaceTools.some((tool) => tool.name === name))
      return callWorkspaceTool(folder, name, given, signal);
    const found = (await this.#find(project)).tools.get(name);
    if (!found) throw new CwmError('InvalidParameter', `There is no tool "${name}" any more.`);
    return found.place.server.call(found.place.name, given, signal);
  }

  /** Servers that are still starting are ended, too. */
  async close(): Promise<void> {
    this.#closing.abort(new CwmError('Cancelled', 'The backend ends.'));
    const running = [...this.#servers.values()];
    this.#servers.clear();
    await Promise.all(running.map(async ({ started }) => (await started.catch(() => null))?.close()));
  }

  async #find(project: ProjectUri | null): Promise<{
    readonly tools: ReadonlyMap<string, { readonly tool: Tool; readonly place: Place }>;
    readonly notes: readonly string[];
  }> {
    const folder = folderOf(project);
    const { userConfig, isTrusted } = this.#options;
    const files = [{ file: userConfig, folder }];
    const notes: string[] = [];
    if (project !== null && folder !== null) {
      const file = join(folder, '.vscode', 'mcp.json');
      if (await isTrusted(project)) files.push({ file, folder });
      else if ((await readMcpConfig(file, folder)).servers.size > 0)
        notes.push(
          `${file} names MCP servers. They are not started, because you have not trusted this folder ("cwm trust").`,
        );
    }
    const tools = new Map<string, { tool: Tool; place: Place }>();
    for (const { file, folder } of files) {
      const config = await readMcpConfig(file, folder);
      notes.push(...config.notes);
      for (const [server, wanted] of config.servers) {
        try {
          await this.#addTools(tools, `${file}\n${folder ?? ''}\n${server}`, server, wanted, folder);
        } catch (error) {
          notes.push(`The MCP server "${server}" cannot be used: ${(error as Error).message}`);
        }
      }
    }
    return { tools, notes };
  }

  async #addTools(
    tools: Map<string, { tool: Tool; place: Place }>,
    key: string,
    serverName: string,
    config: McpServerConfig,
    folder: string | null,
  ): Promise<void> {
    const server = await this.#server(key, config, folder);
    for (const tool of await server.tools()) {
      const name = `${serverName}_${tool.name}`.replaceAll(/[^A-Za-z0-9_-]/g, '_').slice(0, 64);
      if (!toolName.test(name) || tools.has(name)) continue;
      // The name that the model sees may be cut before the word that tells.
      const judged = isDangerous(tool) ? { ...tool, readsOnly: false, isDestructive: true } : tool;
      tools.set(name, { tool: judged, place: { server, name: tool.name } });
    }
  }

  async #server(key: string, config: McpServerConfig, folder: string | null): Promise<McpServer> {
    this.#closing.signal.throwIfAborted();
    const wanted = JSON.stringify(config);
    const running = this.#servers.get(key);
    const server = running?.config === wanted ? await running.started.catch(() => null) : null;
    if (server?.isOpen) return server;
    // Another caller may have started it again in the meantime.
    if (this.#servers.get(key) !== running) return this.#server(key, config, folder);
    if (running) {
      this.#servers.delete(key);
      void running.started.then((old) => old.close()).catch(() => undefined);
    }
    // The SDK is loaded where somebody needs it.
    const { signal } = this.#closing;
    const started = import('./mcpServer.ts').then((loaded) =>
      loaded.McpServer.start(config, folder ?? process.cwd(), signal),
    );
    this.#servers.set(key, { config: wanted, started });
    started.catch(() => {
      if (this.#servers.get(key)?.started === started) this.#servers.delete(key);
    });
    return started;
  }
}

/** Null for a project that is no folder of this machine. */
function folderOf(project: ProjectUri | null): string | null {
  try {
    return project === null ? null : fileURLToPath(project);
  } catch {
    return null;
  }
}
