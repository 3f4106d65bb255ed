import { randomInt } from 'node:crypto';
import { idsOfLength } from '../probe/tinyRequests.ts';
import { checkSlot, completionRequest } from './completion.ts';
import type { SlotUse } from './homeSlot.ts';
import type { Place } from './place.ts';
import { completionSchema } from './wire.ts';

/** The server computes the last few tokens of a prompt again in any case. */
const trialTokens = 12;

/**
 * Whether the server brings back what another prompt pushed out of its slot: with two tiny prompts, of which the first one comes again. What the
 * slot had before is pushed out, too.
 *
 * @returns null where the server does not tell. @throws CwmError of the server.
 */
export async function triesHostCache(
  { link, server }: Place,
  use: SlotUse,
  signal: AbortSignal,
): Promise<boolean | null> {
  // The first token parts them, also from those of another trial.
  const [one, other] = [randomInt(100, 175), randomInt(175, 250)].map((id) => [
    id,
    ...idsOfLength(trialTokens - 1, []),
  ]);
  let reused: number | null = null;
  for (const ids of [one, other, one]) {
    const request = completionRequest({ ids: ids ?? [] }, { ...use, reuse: true }, false);
    const { value } = await link.json(request, completionSchema, signal);
    checkSlot(value.id_slot, use, server.label);
    reused = value.timings?.cache_n ?? null;
  }
  return reused === null ? null : reused > 0;
}
