import type { CoreContext } from '../context.ts';
import type { Tool } from '../ports/tools.ts';
import type { MemoryTool } from './memoryTool.ts';
import { pageFault } from './pageFault.ts';
import type { Remembering } from './remembering.ts';

/** All of them; a new one is a row. */
const memoryTools: readonly MemoryTool[] = [pageFault];

export const isMemoryTool = (tool: Tool | undefined): tool is MemoryTool => tool !== undefined && 'run' in tool;

/** The tools of the session's memory, from the moment on that something has left the prompt: before that, they have nothing to find. */
export async function offeredMemoryTools(
  core: CoreContext,
  { session, description }: Pick<Remembering, 'session' | 'description'>,
): Promise<readonly MemoryTool[]> {
  if (!session.settings?.memory?.enableVm || description.noToolsWhy !== undefined) return [];
  const { segments } = await core.memories.of(session);
  return segments.length === 0 ? [] : memoryTools;
}

/** Those of the machine, and those of the memory, which hide any of the same name. Sorted by name, so that prompts begin alike. */
export const withMemoryTools = (tools: readonly Tool[], ofMemory: readonly MemoryTool[]): readonly Tool[] =>
  ofMemory.length === 0
    ? tools
    : [...tools.filter(({ name }) => !ofMemory.some((tool) => tool.name === name)), ...ofMemory].sort((a, b) =>
        a.name < b.name ? -1 : 1,
      );
