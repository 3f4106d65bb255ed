import { formatCount } from '../../base/format.ts';
import { isCwmError } from '../../protocol/errors.ts';
import type { MemoryReport } from '../../protocol/memory/report.ts';
import type { Message, PrefixBreak } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import type { Generation } from '../ports/engine.ts';
import { renderPrompt } from '../prompt/prompt.ts';
import { countPrompt } from './segments/count.ts';
import type { Remembering } from './remembering.ts';
import { idsOf, type Shown } from './show.ts';

/** An answer that is stored. */
interface Reported {
  readonly answer: Message;
  readonly generation: Generation;
  readonly added: readonly Message[];
  readonly prefixBreak: PrefixBreak | null;
}

/** Records what an answer took. @returns what the client is told; null: the session has no memory, or nobody knows the model's limit. */
export async function reportTurn(
  core: CoreContext,
  { session, engine, shown }: Remembering & { readonly shown: Shown | null },
  { answer, generation, added, prefixBreak }: Reported,
  signal: AbortSignal,
): Promise<MemoryReport | null> {
  if (!shown?.budget) return null;
  const { budget, layout, isChanged } = shown;
  const sent = generation.promptIds.length || generation.reuse.promptTokens;
  const reused = generation.reuse.cachedTokens;
  const memory = await core.memories.of(session);
  try {
    // What the message itself takes would have been computed in any case.
    const own = isChanged ? await countPrompt(engine, renderPrompt(added), false, signal) : 0;
    // As measured: a cache that cannot be cut loses what stands in front of the change, too.
    const recomputed = isChanged ? Math.max(0, sent - (reused ?? prefixBreak?.atToken ?? 0) - own) : 0;
    const { id, sequence, createdAt: at } = answer;
    const segments = idsOf(layout);
    await core.memories.record(session, [
      {
        type: 'turn',
        sequence,
        answer: id,
        segments,
        sent,
        reused,
        recomputed,
        ...(isChanged && prefixBreak && { changedAt: prefixBreak.atToken }),
        at,
      },
    ]);
    const newest = isChanged ? layout.at(-1) : undefined;
    return {
      sent,
      reused,
      recomputed,
      ratio: memory.ratio,
      limit: budget.room,
      ...(newest && {
        replaced: {
          segment: newest.id,
          firstSequence: newest.firstSequence,
          lastSequence: newest.lastSequence,
          tokens: newest.replacedTokens,
        },
      }),
    };
  } catch (error) {
    // The answer is stored already: figures must not cost it.
    if (signal.aborted || isCwmError(error))
      return { sent, reused, recomputed: 0, ratio: memory.ratio, limit: budget.room };
    throw error;
  }
}

/** What the user is told of it. */
export function memoryNotes(report: MemoryReport | null): string[] {
  const replaced = report?.replaced;
  if (!report || !replaced) return [];
  const { firstSequence: first, lastSequence: last, segment, tokens } = replaced;
  return [
    `Messages ${first} to ${last} (${formatCount(tokens)} tokens) left the prompt to make room, and the summary ${segment} stands there. They stay in the session. ` +
      `${formatCount(report.recomputed)} tokens were computed again because of it.${report.reused === 0 ? nothingKept : ''}`,
  ];
}

/** A system prompt and older segments in front of what left stay the same, but such a cache holds for the end of a prompt alone. */
const nothingKept =
  ' The model server reused nothing of the prompt, not even what stands in front of the change. The cache of some models cannot be cut (those with a sliding window, as Gemma 3, or recurrent ones): there, each time that messages leave, the whole prompt is computed.';
