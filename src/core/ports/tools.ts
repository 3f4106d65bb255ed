import type { ProjectUri } from '../../protocol/ids.ts';
import type { JsonObject } from '../../protocol/schemas/tracker.ts';

/** What a model is told of a tool. */
export interface ToolDefinition {
  /** 1 to 64 letters, digits, `_` and `-`; unique among the session's tools. */
  readonly name: string;
  readonly description: string;
  /** JSON schema of its arguments, an object. */
  readonly inputSchema: JsonObject;
}

export interface Tool extends ToolDefinition {
  /** It changes nothing, as far as is known. */
  readonly readsOnly: boolean;
  /** The same call gives the same result until something of this machine's tools has changed something. Default false. */
  readonly isRepeatable?: boolean;
  /** It says of itself that it may destroy something. */
  readonly isDestructive: boolean;
}

export interface ToolAnswer {
  readonly text: string;
  readonly hasFailed: boolean;
}

/** The tools of this machine: those of the backend itself, and those of the MCP servers that the user or a project names. */
export interface ToolBox {
  /**
   * Sorted by name, so that prompts begin alike. `notes`: servers that did not start, and tools that are left out, in plain words. Never
   * rejects but when `signal` was aborted.
   */
  list(
    project: ProjectUri | null,
    signal: AbortSignal,
  ): Promise<{ readonly tools: readonly Tool[]; readonly notes: readonly string[] }>;
  /** One that fails says so in its answer. Rejects when `signal` was aborted, and when the tool is gone or its server dies. */
  call(project: ProjectUri | null, name: string, given: JsonObject, signal: AbortSignal): Promise<ToolAnswer>;
}

/** For a core without tools. */
export const noTools: ToolBox = {
  list: async () => ({ tools: [], notes: [] }),
  call: async (_, name) => ({ text: `There is no tool "${name}".`, hasFailed: true }),
};
