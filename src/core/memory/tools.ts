import type { CoreContext } from '../context.ts';
import { isCwmError, nullOn } from '../../protocol/errors.ts';
import type { ToolDefinition } from '../ports/tools.ts';
import type { MemoryTool } from './memoryTool.ts';
import { pageFault } from './pageFault.ts';
import { modelKey, type Remembering } from './remembering.ts';
import { searchTool } from './search/searchTool.ts';
import { isExcerpted } from '../prompt/excerpt.ts';
import type { Budget } from './segments/budget.ts';
import { budgetFor, leaveRoom, showConversation, type Asking } from './show.ts';

/** All of them; a new one is a row. */
const memoryTools: readonly MemoryTool[] = [pageFault, searchTool];

/**
 * The tools of the session's memory, from the moment on that something has left the prompt: before that, they have nothing to find.
 *
 * @param asking the request to come. What must leave the prompt for it leaves here, where it is the first: tools stand at the beginning of a
 *   prompt, so that a list which came a turn later would have the engine compute all of it a second time. Null: nothing leaves.
 * @throws CwmError Cancelled, EngineUnavailable.
 */
export async function offeredMemoryTools(
  core: CoreContext,
  turn: Remembering,
  asking: Asking | null,
  signal: AbortSignal,
): Promise<readonly MemoryTool[]> {
  if (!(await takesMemoryTools(core, turn))) return [];
  const memory = await core.memories.of(turn.session);
  const hasLeft = (): boolean =>
    memory.segments.length > 0 || turn.messages.some(isExcerpted) || asking?.added.some(isExcerpted) === true;
  if (asking === null) return hasLeft() ? memoryTools : [];
  const withTools = { ...asking, tools: withMemoryTools(asking.tools, memoryTools) };
  if (!hasLeft()) {
    // A prompt that is too long with the tools may fit without them; the request itself says.
    await nullOn(showConversation(core, turn, withTools, signal), 'ContextTooLong');
  }
  if (!hasLeft()) return [];
  return (await leaveRoom(core, turn, withTools, signal)) ? memoryTools : [];
}

/** Whether the session's prompts list the memory's tools once something has left. */
async function takesMemoryTools(
  core: CoreContext,
  turn: Pick<Remembering, 'session' | 'engine' | 'description'>,
): Promise<boolean> {
  const { memory } = turn.session.settings ?? {};
  if (!memory?.enableVm || memory.vmMode === 'passive' || turn.description.noToolsWhy !== undefined) return false;
  return !(await core.memories.of(turn.session)).takingNoTools.has(modelKey(turn));
}

/**
 * How the turn's requests divide their tokens once something has left the prompt: the memory's tools are offered then, where they leave room
 * enough.
 *
 * @throws CwmError Cancelled, EngineUnavailable.
 */
export async function budgetWithTools(
  core: CoreContext,
  turn: Remembering,
  { maxTokens, tools }: Budgeting,
  signal: AbortSignal,
): Promise<BudgetWithTools> {
  const all = { maxTokens, tools: withMemoryTools(tools, memoryTools) };
  const areOffered = (await takesMemoryTools(core, turn)) && (await leaveRoom(core, turn, all, signal));
  return { budget: await budgetFor(core, turn, areOffered ? all : { maxTokens, tools }, signal), areOffered };
}

interface BudgetWithTools {
  /** Null: nobody knows the model's limit. */
  readonly budget: Budget | null;
  /** The memory's tools. */
  readonly areOffered: boolean;
}

/** What of a request says how much room its messages have. */
export type Budgeting = Pick<Asking, 'maxTokens' | 'tools'>;

/** Those of the machine, and those of the memory, which hide any of the same name. Sorted by name, so that prompts begin alike. */
export const withMemoryTools = <Offered extends ToolDefinition>(
  tools: readonly Offered[],
  ofMemory: readonly MemoryTool[],
): readonly (Offered | MemoryTool)[] =>
  ofMemory.length === 0
    ? tools
    : [...tools.filter(({ name }) => !ofMemory.some((tool) => tool.name === name)), ...ofMemory].sort((a, b) =>
        a.name < b.name ? -1 : 1,
      );

/**
 * Asks, and asks again without tools where the server refuses the memory's own: some chat templates take none, and only a request shows it.
 * The session does without them from then on, if that was the reason. Tools of the machine are the user's wish: there the refusal stands.
 */
export async function askWithMemoryTools<T>(
  core: CoreContext,
  turn: Pick<Remembering, 'session' | 'engine' | 'description'>,
  tools: readonly ToolDefinition[] | undefined,
  ask: (tools: readonly ToolDefinition[] | undefined) => Promise<T>,
): Promise<T> {
  try {
    return await ask(tools);
  } catch (error) {
    const isOwn = tools !== undefined && tools.length > 0 && tools.every((tool) => 'run' in tool);
    if (!isOwn || !isCwmError(error, 'EngineRejected')) throw error;
    const answer = await ask(undefined);
    (await core.memories.of(turn.session)).takingNoTools.add(modelKey(turn));
    return answer;
  }
}
