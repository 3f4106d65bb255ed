import { isCwmError } from '../../protocol/errors.ts';
import type { Computed } from '../../core/sessions/outside/computed.ts';
import type { Readiness } from '../../core/sessions/outside/outsideTurns.ts';
import type { SessionId } from '../../protocol/ids.ts';
import type { GatewayContext } from '../context.ts';
import type { Target } from '../targets.ts';
import type { Conversation } from '../recognition/said.ts';
import type { Recognised } from '../recognition/recogniser.ts';
import { takeSlot, type TakenSlot } from './takeSlot.ts';

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
  readonly whyCold: string | null;
  /** What of it was computed again to have it at hand, before this request; null: nothing. */
  readonly computed: Computed | null;
  /** Called once the request has ended. */
  readonly leave: () => void;
}

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
  const taken = await takeSlot(gateway, target, recognised, signal);
  const free = taken?.free ?? ((): void => undefined);
  const { promise: isSent, resolve: sent } = Promise.withResolvers<void>();
  const ended = (): void => {
    if (taken?.slot === undefined) return free();
    // What is in the slot now is known before the next one comes.
    void outside
      .slots(spec, AbortSignal.timeout(lookMs), taken.slot)
      .catch(() => undefined)
      .finally(free);
  };
  try {
    const room = await roomFor(gateway, { target, taken, recognised, salt, isSent }, signal);
    const passed = outside.passing(spec, taken?.slot);
    const leave = (): void => {
      passed();
      ended();
    };
    return { ...room, slot: taken?.slot ?? null, isVolatile: taken !== null, leave };
  } catch (error) {
    // It was let pass, perhaps.
    ended();
    throw error;
  } finally {
    sent();
  }
}

/** How long a server may take to say what it has in its slots, once an answer has ended. In milliseconds. */
const lookMs = 5000;

/** A request that room is made for. */
interface Coming {
  readonly target: Target;
  /** Null: it goes wherever the server has it go. */
  readonly taken: TakenSlot | null;
  readonly recognised: Recognised | null;
  readonly salt: string;
  /** Resolves once it is about to be sent, or will not be. */
  readonly isSent: Promise<void>;
}

async function roomFor(
  gateway: GatewayContext,
  { target, taken, recognised, salt, isSent }: Coming,
  signal: AbortSignal,
): Promise<Omit<Room, 'slot' | 'isVolatile' | 'leave'>> {
  const { outside, recogniser } = gateway;
  const { spec } = target;
  const slot = taken?.slot;
  const turn = recognised?.kind === 'turn' ? recognised : null;
  const conversation = turn?.conversation ?? null;
  const session = conversation?.session ?? null;
  const holder = taken && outside.holderOf(spec, slot);
  const isDisplacing = taken !== null && (session === null || holder !== session);
  if (isDisplacing) {
    if (session !== null && turn !== null && turn.known > 0) void outside.lookAhead(session);
    // What the server has is saved as the holder's, so before the salt of this request is noted for it.
    if (holder) await saveWhatLeaves(gateway, { spec, slot, holder, isSent }, signal);
  }
  for (const emptied of taken?.emptied ?? []) {
    const rests = outside.holderOf(spec, emptied);
    if (rests && rests !== session)
      await saveWhatLeaves(gateway, { spec, slot: emptied, holder: rests, isSent }, signal);
  }
  // After that: work on another conversation's KV may be the very checkpoint that this request needs.
  const isWarm = slot !== undefined && !isDisplacing && conversation?.mayBeCold === false;
  await outside.giveWay(session, signal, isWarm ? { engine: spec, slot } : null);
  const passage = await outside.letPass(spec, salt, signal, { slot });
  const isNew = passage?.isNew === true;
  if (isNew) for (const each of recogniser.all) each.mayBeCold = true;
  const isElsewhere = isDisplacing || (taken !== null && outside.holderOf(spec, slot) !== session);
  let whyCold: string | null = null;
  let computed: Computed | null = null;
  if (turn && turn.known > 0 && (turn.conversation.mayBeCold || isElsewhere)) {
    const ready = await makeReady(gateway, turn.conversation, { slot, known: target }, signal);
    if (!ready.isThere) return { isThere: false, isNew, isForeign: false, whyCold: null, computed: null };
    whyCold = ready.why;
    computed = ready.computed ?? null;
    // What was brought back from a file is the conversation's own from now on.
    if (passage) await outside.letPass(spec, salt, signal, { slot, isAgain: true });
  }
  if (taken) outside.tookEngine(spec, session, slot);
  return { isThere: true, isNew, isForeign: passage?.mayReuse === false, whyCold, computed };
}

/** A conversation that a server loses. */
interface Leaving extends Pick<Coming, 'isSent'> {
  readonly spec: string;
  readonly slot: number | undefined;
  readonly holder: SessionId;
}

/** Before the server loses the conversation that it has in a slot. */
async function saveWhatLeaves(
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
): Promise<Readiness> {
  const { session } = conversation;
  await recorder.storedOf(session);
  try {
    const made = await outside.makeReady(session, signal, ready);
    conversation.mayBeCold = false;
    const isToCome = !made.isThere && recorder.isUnstored(session);
    return isToCome ? { isThere: true, why: 'The conversation is not stored yet.' } : made;
  } catch (error) {
    if (signal.aborted || isCwmError(error, 'Cancelled')) throw error;
    recorder.failed(error, session);
    const isGone = isCwmError(error, 'WindowNotFound', 'Corrupted');
    return { isThere: !isGone, why: error instanceof Error ? error.message : null };
  }
}
