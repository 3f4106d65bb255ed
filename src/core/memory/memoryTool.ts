import type { JsonObject } from '../../protocol/schemas/tracker.ts';
import type { CoreContext } from '../context.ts';
import type { Tool, ToolAnswer, ToolDefinition } from '../ports/tools.ts';
import type { Remembering } from './remembering.ts';

/** A tool with which the model uses the memory of its own session. It changes nothing outside, so that nobody is asked. */
export interface MemoryTool extends Tool {
  /** A failure is an answer with `hasFailed`: the turn continues. Rejects when `signal` was aborted. */
  run(core: CoreContext, turn: Remembering, given: JsonObject, signal: AbortSignal): Promise<ToolAnswer>;
}

export const isMemoryTool = (tool: ToolDefinition | undefined): tool is MemoryTool =>
  tool !== undefined && 'run' in tool;
