import type { RouteInput, RouteName, RouteOutput } from '../protocol/api.ts';

/** What a tool does to the user's data. A client decides by it whether a person is asked first. */
export type ToolEffect = 'reads' | 'adds' | 'changes' | 'deletes';

/** The backend as a tool calls it. Each client gives its own: with progress, an abort, and the user's model server. */
export interface AgentBackend {
  /** @throws CwmError what the backend answered. */
  call<Name extends RouteName>(name: Name, input: RouteInput<Name>): Promise<RouteOutput<Name>>;
}

/**
 * One operation as an agent calls it, in MCP and in VS Code's chat. What goes in and comes out has the names that other servers of this
 * kind gave it, in snake case (S0-01). Null means "not known" or "does not apply", never 0.
 */
export interface AgentTool<Input, Output> {
  /** For people. */
  readonly title: string;
  /** For the model that chooses a tool. */
  readonly description: string;
  readonly effect: ToolEffect;
  /** Without a field it only reads, whatever its effect: a client that may only read has it, too, and is refused with one. */
  readonly readsWithoutFields?: true;
  /** It asks the model server, and so spends its time. */
  readonly asksModel?: true;
  /** @throws CwmError what the backend answered, or InvalidParameter. */
  run(backend: AgentBackend, input: Input): Promise<Output>;
}
