import type { SlotState } from '../../core/ports/engine.ts';
import type { Conversation } from '../recognition/said.ts';

/** What a request wants of a server with several slots. */
export interface SlotWish {
  /** The slot that has its conversation; undefined: none has. */
  readonly kept: number | undefined;
  /** The conversation begins, so that another slot is as good as one that is taken. */
  readonly begins: boolean;
  /** Nothing of the conversation is in a file: the server may have it in its own cache, from which it fills only a slot that has something else. */
  readonly isUnsaved: boolean;
  /** Whether its prompt begins as that of another conversation does. */
  readonly isAlike: (other: Conversation) => boolean;
}

/**
 * The slot for a request, of those that no other request of the gateway has.
 *
 * @param conversationIn what is in a slot; null: nothing that is known. @returns null: it waits for another one.
 */
export function chooseSlot(
  free: readonly SlotState[],
  { kept, begins, isUnsaved, isAlike }: SlotWish,
  conversationIn: (slot: number) => Conversation | null,
): number | null {
  const hasKept = free.some(({ slot }) => slot === kept);
  if (kept !== undefined && (hasKept || !begins)) return hasKept ? kept : null;
  const others = free.filter(({ isOwn }) => !isOwn);
  const idle = others.filter(({ isBusy }) => !isBusy);
  const found = (idle.length > 0 ? idle : others).map(({ slot }) => ({ slot, has: conversationIn(slot) }));
  const longestUnused = found.toSorted((one, other) => (one.has?.usedMs ?? 0) - (other.has?.usedMs ?? 0));
  const alike = begins ? longestUnused.find(({ has }) => has && isAlike(has)) : undefined;
  const empty = found.find(({ has }) => has === null);
  const full = longestUnused.find(({ has }) => has !== null);
  // What is in a full one would be gone with this request in any case.
  const prefersFull = isUnsaved || free.some(({ isEmptiedAtRest }) => isEmptiedAtRest);
  return (alike ?? (prefersFull ? (full ?? empty) : (empty ?? full)))?.slot ?? null;
}
