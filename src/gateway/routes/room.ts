import { isCwmError } from '../../protocol/errors.ts';
import type { SessionId } from '../../protocol/ids.ts';
import type { GatewayContext } from '../context.ts';
import type { Target } from '../targets.ts';
import { chooseSlot } from '../passing/chooseSlot.ts';
import type { Conversation } from '../recognition/said.ts';
import type { Recognised } from '../recognition/recogniser.ts';

/** What the server's memory is for a request that is about to be sent. */
export interface Room {
  /** False where the conversation's session is gone. */
  readonly isThere: boolean;
  /** The server was started since its last request: it may be another one. */
  readonly isNew: boolean;
  /** What the server finds in its memory may be of another project. */
  readonly isForeign: boolean;
  /** The slot that the request asks for; null: the server has one only, or chooses. */
  readonly slot: number | null;
  /** Only the memory of the server has the conversation, in a place that is known. */
  readonly isVolatile: boolean;
  /** The conversation was out of the server's memory: what became of that, in words. Null: it was not. */
  readonly cold: string | null;
  /** Called once the request has ended. */
  readonly leave: () => void;
}

/** Where a request goes: into a slot, or into the only one; null: wherever the server has it go. */
type At = {
  readonly slot: number | undefined;
  /** Other slots that the server will empty for it. */
  readonly emptied: readonly number[];
} | null;

/**
 * Before a prompt is sent: what the conversation needs is brought back, and what the server has instead is saved. In each slot, requests come one
 * after another.
 *
 * @param salt of the conversation.
 * @throws CwmError Cancelled, and those of the engine.
 */
export async function makeRoom(
  gateway: GatewayContext,
  target: Target,
  recognised: Recognised | null,
  salt: string,
  signal: AbortSignal,
): Promise<Room> {
  const { outside } = gateway;
  const { spec } = target;
  const { at, free } = await placeFor(gateway, target, recognised, signal);
  const { promise: isSent, resolve: sent } = Promise.withResolvers<void>();
  try {
    const room = await roomFor(gateway, { target, at, recognised, salt, isSent }, signal);
    const passed = outside.passing(spec, at?.slot);
    const leave = (): void => {
      passed();
      if (at?.slot === undefined) return free();
      // What is in the slot now is known before the next one comes.
      void outside
        .slots(spec, AbortSignal.timeout(lookMs), at.slot)
        .catch(() => undefined)
        .finally(free);
    };
    return { ...room, slot: at?.slot ?? null, isVolatile: at !== null, leave };
  } catch (error) {
    free();
    throw error;
  } finally {
    sent();
  }
}

/** How long a server may take to say what it has in its slots, once an answer has ended. In milliseconds. */
const lookMs = 5000;

async function placeFor(
  { outside, places, recogniser }: GatewayContext,
  target: Target,
  recognised: Recognised | null,
  signal: AbortSignal,
): Promise<{ readonly at: At; readonly free: () => void }> {
  const { spec } = target;
  if (isOnePlace(target)) {
    const { leave } = await places.take(spec, signal);
    return { at: { slot: undefined, emptied: [] }, free: leave };
  }
  // Of what is not recorded, nobody knows what belongs together: the server finds that by likeness.
  const isLooked = recognised !== null && (target.slots ?? 0) > 1;
  const slots = isLooked ? await outside.slots(spec, signal) : null;
  if (!recognised || !slots) return { at: null, free: () => undefined };
  const turn = recognised.kind === 'turn' ? recognised : null;
  const conversationIn = (slot: number): Conversation | null => {
    const holder = outside.holderOf(spec, slot);
    return holder && recogniser.ofSession(holder);
  };
  const choose = (free: readonly number[]): number | null =>
    chooseSlot(
      slots.filter(({ slot }) => free.includes(slot)),
      {
        kept: turn ? outside.slotOf(spec, turn.conversation.session) : undefined,
        begins: !turn || turn.known === 0,
        isUnsaved: turn !== null && outside.isUnsaved(turn.conversation.session),
        isAlike: (other) => turn !== null && beginsAs(turn.conversation, other),
      },
      conversationIn,
    );
  const { slot, leave } = await places.take(spec, signal, slots.length, choose);
  const emptied = slots.flatMap(({ isEmptiedAtRest, slot: other }) =>
    isEmptiedAtRest && other !== slot && !places.isTaken(spec, other) ? [other] : [],
  );
  return { at: { slot, emptied }, free: leave };
}

const beginsAs = (one: Conversation, other: Conversation): boolean =>
  one.system !== '' &&
  one.systemKey === other.systemKey &&
  one.toolsKey === other.toolsKey &&
  one.lineage === other.lineage;

/** A server that has KV of one conversation only, and loses it when another one comes or when it ends. */
export const isOnePlace = ({ description, slots }: Target): boolean =>
  description.kind === 'llama-server' && slots === 1;

/** A request that room is made for. */
interface Coming {
  readonly target: Target;
  readonly at: At;
  readonly recognised: Recognised | null;
  readonly salt: string;
  /** Resolves once it is about to be sent, or will not be. */
  readonly isSent: Promise<void>;
}

async function roomFor(
  gateway: GatewayContext,
  { target, at, recognised, salt, isSent }: Coming,
  signal: AbortSignal,
): Promise<Omit<Room, 'slot' | 'isVolatile' | 'leave'>> {
  const { outside, recogniser } = gateway;
  const { spec } = target;
  const slot = at?.slot;
  const turn = recognised?.kind === 'turn' ? recognised : null;
  const conversation = turn?.conversation ?? null;
  const session = conversation?.session ?? null;
  const holder = at && outside.holderOf(spec, slot);
  const isDisplacing = at !== null && (session === null || holder !== session);
  if (isDisplacing) {
    if (session !== null && turn !== null && turn.known > 0) void outside.lookAhead(session);
    // What the server has is saved as the holder's, so before the salt of this request is noted for it.
    if (holder) await leave(gateway, { spec, slot, holder, isSent }, signal);
  }
  for (const emptied of at?.emptied ?? []) {
    const rests = outside.holderOf(spec, emptied);
    if (rests && rests !== session) await leave(gateway, { spec, slot: emptied, holder: rests, isSent }, signal);
  }
  // After that: work on another conversation's KV may be the very checkpoint that this request needs.
  const isWarm = slot !== undefined && !isDisplacing && conversation?.mayBeCold === false;
  await outside.giveWay(session, signal, isWarm ? { engine: spec, slot } : null);
  const passage = await outside.letPass(spec, salt, signal, { slot });
  const isNew = passage?.isNew === true;
  if (isNew) for (const each of recogniser.all) each.mayBeCold = true;
  const isElsewhere = isDisplacing || (at !== null && outside.holderOf(spec, slot) !== session);
  let cold: string | null = null;
  if (turn && turn.known > 0 && (turn.conversation.mayBeCold || isElsewhere)) {
    const ready = await makeReady(gateway, turn.conversation, { slot, known: target }, signal);
    if (!ready.isThere) return { isThere: false, isNew, isForeign: false, cold: null };
    cold = ready.why;
    // What was brought back from a file is the conversation's own from now on.
    if (passage) await outside.letPass(spec, salt, signal, { slot, isAgain: true });
  }
  if (at) outside.tookEngine(spec, session, slot);
  return { isThere: true, isNew, isForeign: passage?.mayReuse === false, cold };
}

/** A conversation that a server loses. */
interface Leaving extends Pick<Coming, 'isSent'> {
  readonly spec: string;
  readonly slot: number | undefined;
  readonly holder: SessionId;
}

/** The server loses the conversation that it has now. */
async function leave(
  { outside, recogniser, recorder }: GatewayContext,
  { spec, slot, holder, isSent }: Leaving,
  signal: AbortSignal,
): Promise<void> {
  const stored = (): Promise<void> => recorder.storedOf(holder);
  // What is left to do takes the machine's time, for which the prompt waits.
  const isQuiet = async (): Promise<void> => {
    await isSent;
    await stored();
  };
  // All that its last request was about, but for the last token of the answer: a server computes it with the next one.
  const tokens = (recogniser.ofSession(holder)?.lastTokens ?? 0) - 1;
  const isNew = recorder.isPending(holder) || outside.isUnsaved(holder);
  if (isNew && (await outside.leavePlace(spec, { tokens, stored: isQuiet, slot }, signal))) return;
  // What the server has is known as unsaved only once its last answer is stored.
  await stored();
  await outside.saveHolder(spec, signal, slot);
}

/** A session that cannot be made ready costs time, not the turn: its prompt is computed. */
async function makeReady(
  { outside, recorder }: GatewayContext,
  conversation: Conversation,
  ready: { readonly slot: number | undefined; readonly known: Target },
  signal: AbortSignal,
): Promise<{ readonly isThere: boolean; readonly why: string | null }> {
  const { session } = conversation;
  await recorder.storedOf(session);
  try {
    const made = await outside.makeReady(session, signal, ready);
    conversation.mayBeCold = false;
    return made;
  } catch (error) {
    if (signal.aborted || isCwmError(error, 'Cancelled')) throw error;
    recorder.failed(error, session);
    const isGone = isCwmError(error, 'WindowNotFound', 'Corrupted');
    return { isThere: !isGone, why: error instanceof Error ? error.message : null };
  }
}
