import { formatCount } from '../../../base/format.ts';
import type { Message, Session } from '../../../protocol/schemas/session.ts';
import type { ToolCall } from '../../../protocol/schemas/toolCall.ts';
import { jsonObjectSchema, type JsonObject } from '../../../protocol/schemas/tracker.ts';
import type { Tool } from '../../ports/tools.ts';
import { isMemoryTool } from '../memoryTool.ts';
import { resolveBindings, type Resolved } from './bindings.ts';
import { callsOf, type PastCall } from './toolHistory.ts';

/** Characters of arguments with results in them: they are stored with the session, and the user reads them. */
const mostCharacters = 256 * 1024;
/** Of what a reference stood for. */
const shownCharacters = 60;

type Tools = ReadonlyMap<string, Pick<Tool, 'readsOnly'>>;

/** A call of a tool as it runs. */
export interface BoundCall {
  readonly call: ToolCall;
  /** It cannot run, for this reason. Left out: it can. */
  readonly refused?: string;
}

/**
 * The calls with results of this turn in place of the references to them, before anybody decides on them: what the user approves is what runs.
 * So a call cannot refer to a result of its own answer, which nobody has seen yet.
 *
 * @param messages the conversation in front of the answer that makes the calls. Without virtual memory, results have no names.
 */
export function boundCalls(
  { session, messages }: { readonly session: Session; readonly messages: readonly Message[] },
  calls: readonly ToolCall[],
  tools: ReadonlyMap<string, Tool>,
): BoundCall[] {
  if (!session.settings?.memory?.enableVm) return calls.map((call) => ({ call }));
  let past: readonly PastCall[] | null = null;
  return calls.map((call) => {
    // The memory's own tools and questions to the user take no results.
    const isOwn = isMemoryTool(tools.get(call.name)) || call.question !== undefined;
    // Most answers refer to nothing: they need no look at the whole conversation.
    const resolved = isOwn || !mayRefer(call) ? null : resolvedOf(call, (past ??= callsOf(messages)), tools);
    if (!resolved) return { call };
    const { given, missing, used } = resolved;
    if (missing.length > 0) {
      const names = missing.map((name) => `$\{${name}}`).join(', ');
      return { call, refused: `No result of the turn's earlier answers has the name ${names}.` };
    }
    if (used.size === 0) return { call };
    const text = JSON.stringify(given);
    return text.length <= mostCharacters
      ? { call: { ...call, arguments: text } }
      : {
          call,
          refused: `The results that it refers to make it longer than ${formatCount(mostCharacters)} characters.`,
        };
  });
}

/** The arguments with which a call of the conversation ran. */
export function ranWith(call: PastCall, calls: readonly PastCall[], tools: Tools): string {
  const before = calls.filter(({ at }) => at < call.askedAt);
  const resolved = resolvedOf(call, before, tools);
  return resolved && resolved.used.size > 0 ? JSON.stringify(resolved.given) : call.arguments;
}

/** A line for each reference of the call that ran: what it stood for. @param calls those of `messages`. */
export function referenceLines(
  messages: readonly Message[],
  calls: readonly PastCall[],
  call: ToolCall,
  tools: Tools,
): string[] {
  const at = messages.findLastIndex(
    ({ content }) => 'calls' in content && content.calls.some(({ id }) => id === call.id),
  );
  const asked = messages[at]?.content;
  const written = asked && 'calls' in asked ? asked.calls.find(({ id }) => id === call.id) : undefined;
  if (!written || written.arguments === call.arguments) return [];
  const before = calls.filter((past) => past.at < at);
  const resolved = resolvedOf(written, before, tools);
  return [...(resolved?.used ?? [])].map(([name, text]) => {
    const begins = text.slice(0, shownCharacters).toWellFormed();
    return `[$\{${name}} stood for ${formatCount(text.length)} characters: ${JSON.stringify(begins)}]`;
  });
}

const mayRefer = ({ arguments: text }: Pick<ToolCall, 'arguments'>): boolean => text.includes('${');

function resolvedOf(
  { name, arguments: text }: Pick<ToolCall, 'name' | 'arguments'>,
  calls: readonly PastCall[],
  tools: Tools,
): Resolved | null {
  const tool = tools.get(name);
  if (!tool || !mayRefer({ arguments: text })) return null;
  const given = objectIn(text);
  return given && resolveBindings(given, calls, !tool.readsOnly);
}

/** Null: the call fails when it runs, and says why. */
function objectIn(text: string): JsonObject | null {
  try {
    return jsonObjectSchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
