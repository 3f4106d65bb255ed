import type { ModelIdentity } from '../../protocol/schemas/session.ts';

/** Share of the model's context length from which on the user is told (EC-011). */
const nearLimitFill = 0.95;

/** What the user should know of a conversation that the model's context will soon be too short for. */
export function nearLimitNotes(tokens: number, { id, maxModelLen }: ModelIdentity): string[] {
  if (maxModelLen === null || tokens < nearLimitFill * maxModelLen) return [];
  const count = (amount: number): string => amount.toLocaleString('en-US');
  return [
    `${count(tokens)} of the ${count(maxModelLen)} tokens that ${id} can take are used: freeze this session and continue in a new one soon.`,
  ];
}
