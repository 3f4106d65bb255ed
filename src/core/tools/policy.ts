import type { ToolCall, ToolSettings, PendingCall } from '../../protocol/schemas/toolCall.ts';
import type { SessionSettings } from '../../protocol/schemas/sessionSettings.ts';
import type { Tool } from '../ports/tools.ts';

/** Parts of names of tools that destroy, run or overwrite something: their calls are always asked for. */
const dangerousNames =
  /(?:^|[^a-z])(?:(?:delete|remove|write|overwrite|unlink|truncate)[a-z]*|rm|update|patch|replace|reset|execute|exec|modify|edit|run|shell|command|move|rename|create|kill|drop|install|push)(?![a-z])/;

/** Words of a name, whether it is in camel case or has marks between them. */
const wordsOf = (name: string): string =>
  name
    .replaceAll(/([a-z\d])([A-Z])/g, '$1_$2')
    .replaceAll(/([A-Z])([A-Z][a-z])/g, '$1_$2')
    .toLowerCase();

export const isDangerous = ({ name, isDestructive, readsOnly }: Omit<Tool, 'description' | 'inputSchema'>): boolean =>
  dangerousNames.test(wordsOf(name)) || (isDestructive && !readsOnly);

/** Rounds after each of the user's messages that `auto-loop` runs by itself. */
const defaultRounds = 5;
/** The user is asked after so many rounds under any policy: a model can call tools for ever. */
const mostRounds = 20;
/** And after so long. */
const loopMs = 5 * 60_000;

export interface Gate {
  readonly settings: SessionSettings;
  /** Tools that the user approved for the rest of the session. */
  readonly approved: readonly string[];
  readonly tools: ReadonlyMap<string, Tool>;
  /** Names of tools that nobody is asked about, since they reach nothing outside the session. Default: none. */
  readonly free?: ReadonlySet<string>;
  /**
   * Names of tools that another program runs, which leads the conversation: nobody is there to decide how long the model calls tools. Default:
   * nobody else leads it.
   */
  readonly ofClient?: ReadonlySet<string>;
  /** By the ids of calls that cannot run: why. Default: none. */
  readonly refused?: ReadonlyMap<string, string>;
  /** Rounds of tool calls since the user's last message, this one included. */
  readonly round: number;
  /** Since the first call behind the user's last message or decision. */
  readonly elapsedMs: number;
}

/** Each call, with why the user must decide on it, if so; and denied where nobody may allow it. */
export const gated = (gate: Gate, calls: readonly ToolCall[]): PendingCall[] =>
  calls.map((call) => ({ ...call, ...verdictOn(gate, call) }));

function verdictOn(gate: Gate, { id, name, question }: ToolCall): Pick<PendingCall, 'why' | 'decision' | 'reason'> {
  if (question) return { why: 'The model asks you.' };
  if (gate.ofClient?.has(name)) return { why: 'The client runs the tool.' };
  const tool = gate.tools.get(name);
  const reason = gate.refused?.get(id);
  const refused = reason === undefined ? refusalOf(gate.settings, tool) : ({ decision: 'denied', reason } as const);
  // Nothing runs, and the model is told why. It may call the same again for ever, though.
  if (!tool || refused) {
    const why = gate.ofClient ? null : whyTooLong(gate);
    return why === null ? (refused ?? {}) : { why };
  }
  if (gate.free?.has(name)) {
    const why = gate.ofClient ? null : whyTooLong(gate);
    return why === null ? {} : { why };
  }
  const { tools: policy } = gate.settings;
  const why = policy ? whyAsk(gate, policy, tool) : 'The session has no tools any more.';
  return why === null ? {} : { why };
}

/** A denial that nobody may overrule; null: none. */
export function refusalOf(
  { role, mode }: SessionSettings,
  tool: Tool | undefined,
): Pick<PendingCall, 'decision' | 'reason'> | null {
  if (!tool || (tool.readsOnly && !isDangerous(tool)) || (role !== 'planner' && mode !== 'plan')) return null;
  return { decision: 'denied', reason: 'This session plans: its tools may only read.' };
}

/** Why the model has called tools often or long enough; null: it has not. */
export function whyTooLong({ round, elapsedMs }: Pick<Gate, 'round' | 'elapsedMs'>): string | null {
  if (round > mostRounds) return `The model has called tools ${mostRounds} times in a row.`;
  if (elapsedMs > loopMs) return `The model has called tools for ${loopMs / 60_000} minutes.`;
  return null;
}

function whyAsk(gate: Gate, settings: ToolSettings, tool: Tool): string | null {
  const { approved, round } = gate;
  if (isDangerous(tool)) return 'The tool may change or destroy something.';
  const tooLong = whyTooLong(gate);
  if (tooLong !== null) return tooLong;
  if (approved.includes(tool.name)) return null;
  switch (settings.policy) {
    case 'manual':
      return 'Every call of a tool is asked for.';
    case 'auto-approve':
      return null;
    case 'white-list':
      return settings.allowed?.includes(tool.name) ? null : 'The tool is not on the white list.';
    case 'auto-loop': {
      const { rounds = defaultRounds } = settings;
      return round <= rounds ? null : `The model has called tools ${rounds} times in a row.`;
    }
  }
}

/** Whether the user must decide before anything runs. */
export const isUndecided = ({ why, decision }: PendingCall): boolean => why !== undefined && decision === undefined;
