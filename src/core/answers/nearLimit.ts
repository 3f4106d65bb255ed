import { formatCount } from '../../base/format.ts';
import type { ModelIdentity } from '../../protocol/schemas/session.ts';

/** Share of the model's context length above which the user gets a warning (EC-011). */
const nearLimitFill = 0.95;

/** Warns the user of a conversation that will soon be too long for the model's context. */
export function nearLimitNotes(tokens: number, { id, maxModelLen }: ModelIdentity): string[] {
  if (maxModelLen === null || tokens < nearLimitFill * maxModelLen) return [];
  return [
    `${formatCount(tokens)} of the ${formatCount(maxModelLen)} tokens that ${id} can take are used: freeze this session and continue in a new one soon.`,
  ];
}
