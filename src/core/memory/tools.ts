import type { CoreContext } from '../context.ts';
import { isCwmError } from '../../protocol/errors.ts';
import type { Tool, ToolDefinition } from '../ports/tools.ts';
import type { MemoryTool } from './memoryTool.ts';
import { pageFault } from './pageFault.ts';
import type { Remembering } from './remembering.ts';
import { searchTool } from './search/searchTool.ts';

/** All of them; a new one is a row. */
const memoryTools: readonly MemoryTool[] = [pageFault, searchTool];

export const isMemoryTool = (tool: Tool | undefined): tool is MemoryTool => tool !== undefined && 'run' in tool;

/** The tools of the session's memory, from the moment on that something has left the prompt: before that, they have nothing to find. */
export async function offeredMemoryTools(
  core: CoreContext,
  { session, description }: Pick<Remembering, 'session' | 'description'>,
): Promise<readonly MemoryTool[]> {
  if (!session.settings?.memory?.enableVm || description.noToolsWhy !== undefined) return [];
  const { segments, takesNoTools } = await core.memories.of(session);
  return segments.length === 0 || takesNoTools ? [] : memoryTools;
}

/** Those of the machine, and those of the memory, which hide any of the same name. Sorted by name, so that prompts begin alike. */
export const withMemoryTools = (tools: readonly Tool[], ofMemory: readonly MemoryTool[]): readonly Tool[] =>
  ofMemory.length === 0
    ? tools
    : [...tools.filter(({ name }) => !ofMemory.some((tool) => tool.name === name)), ...ofMemory].sort((a, b) =>
        a.name < b.name ? -1 : 1,
      );

/**
 * Asks, and asks again without tools where the server refuses the memory's own: some chat templates take none, and only a request shows it.
 * Tools of the machine are the user's wish: there the refusal stands.
 */
export async function askWithMemoryTools<T>(
  core: CoreContext,
  { session }: Pick<Remembering, 'session'>,
  tools: readonly ToolDefinition[] | undefined,
  ask: (tools: readonly ToolDefinition[] | undefined) => Promise<T>,
): Promise<T> {
  try {
    return await ask(tools);
  } catch (error) {
    const isOwn = tools !== undefined && tools.length > 0 && tools.every((tool) => 'run' in tool);
    if (!isOwn || !isCwmError(error, 'EngineRejected')) throw error;
    (await core.memories.of(session)).takesNoTools = true;
    return ask(undefined);
  }
}
