import type { GatewayContext } from '../context.ts';
import { chooseSlot } from '../passing/chooseSlot.ts';
import type { Conversation } from '../recognition/said.ts';
import type { Recognised } from '../recognition/recogniser.ts';
import type { Target } from '../targets.ts';

/** The slot of a llama-server that a request has until its end. */
export interface TakenSlot {
  /** Undefined: the server has one only, so that the request need not name it. */
  readonly slot: number | undefined;
  /** Other slots that the server will empty for the request. */
  readonly emptied: readonly number[];
  /** Gives it to the next one. */
  readonly free: () => void;
}

/**
 * Takes a slot of a llama-server for a request, which waits for it where others have all that will do.
 *
 * @returns null: the request goes wherever the server has it go. @throws the signal's reason, and CwmError of the engine.
 */
export async function takeSlot(
  { outside, places, recogniser }: GatewayContext,
  target: Target,
  recognised: Recognised | null,
  signal: AbortSignal,
): Promise<TakenSlot | null> {
  const { spec } = target;
  const takeOnlyOne = async (): Promise<TakenSlot> => {
    const { leave } = await places.take(spec, signal);
    return { slot: undefined, emptied: [], free: leave };
  };
  if (hasOneSlot(target)) return takeOnlyOne();
  // Of what is not recorded, nobody knows what belongs together: the server finds that by likeness.
  const isLooked = recognised !== null && (target.slots ?? 0) > 1;
  const slots = isLooked ? await outside.slots(spec, signal) : null;
  if (!recognised || !slots) return null;
  // It was started again since it was asked how many it has.
  if (slots.length === 1) return takeOnlyOne();
  const turn = recognised.kind === 'turn' ? recognised : null;
  const conversationIn = (slot: number): Conversation | null => {
    const holder = outside.holderOf(spec, slot);
    return holder && recogniser.ofSession(holder);
  };
  const choose = (free: readonly number[]): number | null => {
    const last = turn ? outside.slotOf(spec, turn.conversation.session) : undefined;
    return chooseSlot(
      slots.filter(({ slot }) => free.includes(slot)),
      {
        // One that the server has no longer, nobody will leave.
        kept: slots.some(({ slot }) => slot === last) ? last : undefined,
        begins: !turn || turn.known === 0,
        isUnsaved: turn !== null && outside.isUnsaved(turn.conversation.session),
        isAlike: (other) => turn !== null && beginsAs(turn.conversation, other),
      },
      conversationIn,
    );
  };
  const { slot, leave } = await places.take(spec, signal, slots.length, choose);
  const emptied = slots.flatMap(({ isEmptiedAtRest, slot: other }) =>
    isEmptiedAtRest && other !== slot && !places.isTaken(spec, other) ? [other] : [],
  );
  return { slot, emptied, free: leave };
}

const beginsAs = (one: Conversation, other: Conversation): boolean =>
  one.system !== '' &&
  one.systemKey === other.systemKey &&
  one.toolsKey === other.toolsKey &&
  one.lineage === other.lineage;

/** A server that has KV of one conversation only, and loses it when another one comes or when it ends. */
export const hasOneSlot = ({ description, slots }: Target): boolean =>
  description.kind === 'llama-server' && slots === 1;
