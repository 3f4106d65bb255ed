import type { JsonObject } from '../../../protocol/schemas/tracker.ts';
import type { Message, Session } from '../../../protocol/schemas/session.ts';
import type { ToolCall } from '../../../protocol/schemas/toolCall.ts';
import type { Tool, ToolAnswer } from '../../ports/tools.ts';
import { ranWith, referenceLines } from './boundCalls.ts';
import { guardCall } from './guards.ts';
import { procedureLines } from './procedures.ts';
import { callsOf, canonical, type PastCall } from './toolHistory.ts';

/** Results that are looked through for the same call (S1-92). */
const cachedCalls = 100;

interface Running {
  readonly session: Session;
  readonly messages: readonly Message[];
}

/** What a call gave. */
export interface Guarded extends ToolAnswer {
  /** Lines of what earlier calls taught came with it, since the next call of the tool needs them. */
  readonly teaches?: true;
}

/**
 * Runs a call of a session with virtual memory: what the guards say, and a result of the same call that is still good. Each of them stands in the result, so that model and user see it. Without virtual memory the call just runs.
 */
export async function runGuarded(
  { session, messages }: Running,
  tool: Tool,
  { call, given }: { readonly call: ToolCall; readonly given: JsonObject },
  tools: ReadonlyMap<string, Tool>,
  run: (given: JsonObject) => Promise<ToolAnswer>,
): Promise<Guarded> {
  if (!session.settings?.memory?.enableVm) return run(given);
  const calls = callsOf(messages);
  const ofThisTurn = calls
    .filter(({ isOfThisTurn }) => isOfThisTurn)
    .map((past) => ({ ...past, arguments: ranWith(past, calls, tools) }));
  const readsOnly = (name: string): boolean => tools.get(name)?.readsOnly ?? false;
  const verdict = guardCall({
    call: { name: tool.name, arguments: call.arguments, readsOnly: tool.readsOnly },
    calls: ofThisTurn,
    messages,
    readsOnly,
  });
  if (verdict.verdict === 'block')
    return { text: `[Guard ${verdict.guard}: the call did not run. ${verdict.reason}]`, hasFailed: true };
  const same = tool.isRepeatable ? sameCall(ofThisTurn, tool.name, call.arguments, readsOnly) : null;
  if (same) return { text: `[The result of ${same.id}, which was the same call.]\n${same.text}`, hasFailed: false };
  const answer = await run(given);
  const learned = answer.hasFailed ? procedureLines(calls, tool.name) : [];
  const number = ofThisTurn.filter(({ outcome }) => outcome === 'done').length;
  return {
    ...answer,
    text: [
      ...(answer.hasFailed ? [] : [`[$v${number}]`]),
      ...referenceLines(messages, calls, call, tools),
      ...(verdict.verdict === 'warn' ? [`[Guard ${verdict.guard}: ${verdict.reason}]`] : []),
      answer.text,
      ...learned.map((line) => `[${line}]`),
    ].join('\n'),
    ...(learned.length > 0 && { teaches: true as const }),
  };
}

/** The same call of this turn, when nothing has run since that may have changed what it reads. */
function sameCall(
  calls: readonly PastCall[],
  name: string,
  given: string,
  readsOnly: (name: string) => boolean,
): PastCall | null {
  const recent = calls.slice(-cachedCalls);
  const changed = recent.findLastIndex((call) => !readsOnly(call.name));
  const key = canonical(given);
  return (
    recent
      .slice(changed + 1)
      .find((call) => call.name === name && call.outcome === 'done' && canonical(call.arguments) === key) ?? null
  );
}
