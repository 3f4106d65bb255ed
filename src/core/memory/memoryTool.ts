import type { JsonObject } from '../../protocol/schemas/tracker.ts';
import type { CoreContext } from '../context.ts';
import type { Tool, ToolAnswer, ToolDefinition } from '../ports/tools.ts';
import type { Remembering } from './remembering.ts';

const names = ['page_fault', 'search_pages'] as const;

/** Names that no tool of others has where these are offered. */
export const memoryToolNames: ReadonlySet<string> = new Set(names);

/** A tool with which the model uses the memory of its own session. It changes nothing outside, so that nobody is asked. */
export interface MemoryTool extends Tool {
  readonly name: (typeof names)[number];
  /** A failure is an answer with `hasFailed`: the turn continues. Rejects when `signal` was aborted. */
  run(core: CoreContext, turn: Remembering, given: JsonObject, signal: AbortSignal): Promise<ToolAnswer>;
}

export const isMemoryTool = (tool: ToolDefinition | undefined): tool is MemoryTool =>
  tool !== undefined && 'run' in tool;
