import { readFile, stat } from 'node:fs/promises';
import * as z from 'zod/mini';

/** A folder that nobody trusts may have anything under this name. */
const mostBytes = 256 * 1024;

const texts = z.record(z.string(), z.string());

/** A server as `.vscode/mcp.json` names it. */
const serverSchema = z.union([
  z.object({
    type: z.optional(z.literal('stdio')),
    command: z.string(),
    args: z.optional(z.array(z.string())),
    env: z.optional(z.record(z.string(), z.nullable(z.union([z.string(), z.number()])))),
    cwd: z.optional(z.string()),
  }),
  z.object({ type: z.optional(z.enum(['http', 'sse'])), url: z.string(), headers: z.optional(texts) }),
]);
const fileSchema = z.object({ servers: z.optional(z.record(z.string(), z.unknown())) });

export type McpServerConfig =
  | {
      readonly kind: 'stdio';
      readonly command: string;
      readonly args: readonly string[];
      readonly env: Readonly<Record<string, string>>;
      readonly cwd: string | null;
    }
  | { readonly kind: 'http' | 'sse'; readonly url: string; readonly headers: Readonly<Record<string, string>> };

export interface McpConfig {
  readonly servers: ReadonlyMap<string, McpServerConfig>;
  /** What was left out, and why, in plain words. */
  readonly notes: readonly string[];
}

/** A value that only VS Code could ask for. */
class Unknown extends Error {}

/**
 * Reads a file in the format of `.vscode/mcp.json`. A file that is not there names no servers, and an entry that cannot be used costs only
 * itself.
 *
 * @param folder what `${workspaceFolder}` stands for; null: nothing.
 */
export async function readMcpConfig(
  file: string,
  folder: string | null,
  env: NodeJS.ProcessEnv = process.env,
): Promise<McpConfig> {
  let text: string;
  try {
    const stats = await stat(file);
    if (!stats.isFile() || stats.size > mostBytes)
      return { servers: new Map(), notes: [`${file} is no file of up to ${mostBytes / 1024} KiB.`] };
    text = await readFile(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isAbsent = code === 'ENOENT' || code === 'ENOTDIR';
    return { servers: new Map(), notes: isAbsent ? [] : [`${file} cannot be read (${code}).`] };
  }
  const parsed = fileSchema.safeParse(parseJsonc(text));
  if (!parsed.success) return { servers: new Map(), notes: [`${file} is no list of MCP servers.`] };
  const servers = new Map<string, McpServerConfig>();
  const notes: string[] = [];
  for (const [name, given] of Object.entries(parsed.data.servers ?? {})) {
    try {
      servers.set(
        name,
        serverOf(given, (value) => filledIn(value, folder, env)),
      );
    } catch (error) {
      if (!(error instanceof Unknown)) throw error;
      notes.push(`The MCP server "${name}" of ${file} is left out: ${error.message}`);
    }
  }
  return { servers, notes };
}

function serverOf(given: unknown, fill: (value: string) => string): McpServerConfig {
  const parsed = serverSchema.safeParse(given);
  if (!parsed.success) throw new Unknown('it names neither a command nor a URL.');
  const { data } = parsed;
  const filled = (values: Readonly<Record<string, string | number | null>>): Record<string, string> =>
    Object.fromEntries(
      Object.entries(values).flatMap(([name, value]) => (value === null ? [] : [[name, fill(String(value))]])),
    );
  if ('url' in data) return { kind: data.type ?? 'http', url: fill(data.url), headers: filled(data.headers ?? {}) };
  const { command, args = [], env = {}, cwd } = data;
  return {
    kind: 'stdio',
    command: fill(command),
    args: args.map(fill),
    env: filled(env),
    cwd: cwd === undefined ? null : fill(cwd),
  };
}

function filledIn(value: string, folder: string | null, env: NodeJS.ProcessEnv): string {
  return value.replaceAll(/\$\{([^}]+)\}/g, (whole, name: string) => {
    if ((name === 'workspaceFolder' || name === 'workspaceRoot') && folder !== null) return folder;
    if (name === 'userHome') return env['HOME'] ?? env['USERPROFILE'] ?? '';
    if (name.startsWith('env:')) return env[name.slice('env:'.length)] ?? '';
    throw new Unknown(`nothing is known for ${whole}; write the value, or \${env:NAME}.`);
  });
}

/** JSON with comments and commas at the end, as VS Code takes it; undefined for what is none. */
function parseJsonc(text: string): unknown {
  const plain = text
    .replace(/^\uFEFF/, '')
    .replaceAll(
      /("(?:\\[\s\S]?|[^"\\])*(?:"|$))|\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/g,
      (_, string: string | undefined) => string ?? '',
    )
    .replaceAll(/("(?:\\[\s\S]?|[^"\\])*(?:"|$))|,(?=\s*[}\]])/g, (_, string: string | undefined) => string ?? '');
  try {
    return JSON.parse(plain);
  } catch {
    return undefined;
  }
}
