import { isCwmError } from '../../protocol/errors.ts';
import type { SessionId } from '../../protocol/ids.ts';
import type { GatewayContext } from '../context.ts';
import type { Target } from '../engines.ts';
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
  /** The conversation was out of the server's memory: what became of that, in words. Null: it was not. */
  readonly cold: string | null;
  /** Called once the request has ended. */
  readonly leave: () => void;
}

/**
 * Before a prompt is sent: what the conversation needs is brought back, and what the server has instead is saved. On a server with one place,
 * requests come one after another.
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
  const { outside, place } = gateway;
  const hasOnePlace = isOnePlace(target);
  const free = hasOnePlace ? await place.take(target.spec, signal) : (): void => undefined;
  try {
    const room = await roomFor(gateway, target, recognised, salt, signal);
    const passed = outside.passing();
    const leave = (): void => {
      passed();
      free();
    };
    return { ...room, leave };
  } catch (error) {
    free();
    throw error;
  }
}

/** A server that has KV of one conversation only, and loses it when another one comes or when it ends. */
export const isOnePlace = ({ description, slots }: Target): boolean =>
  description.kind === 'llama-server' && slots === 1;

async function roomFor(
  gateway: GatewayContext,
  target: Target,
  recognised: Recognised | null,
  salt: string,
  signal: AbortSignal,
): Promise<Omit<Room, 'leave'>> {
  const { outside, recogniser } = gateway;
  const { spec } = target;
  const turn = recognised?.kind === 'turn' ? recognised : null;
  const conversation = turn?.conversation ?? null;
  const session = conversation?.session ?? null;
  const hasOnePlace = isOnePlace(target);
  const holder = outside.holderOf(spec);
  const isDisplacing = hasOnePlace && (session === null || holder !== session);
  if (isDisplacing) {
    if (session !== null && turn !== null && turn.known > 0) void outside.lookAhead(session);
    // What the server has is saved as the holder's, so before the salt of this request is noted for it.
    if (holder) await leave(gateway, spec, holder, signal);
  }
  // After that: work on another conversation's KV may be the very checkpoint that this request needs.
  await outside.giveWay(session, signal);
  const passage = await outside.letPass(spec, salt, signal);
  const isNew = passage?.isNew === true;
  if (isNew) for (const each of recogniser.all) each.mayBeCold = true;
  const isElsewhere = isDisplacing || (hasOnePlace && outside.holderOf(spec) !== session);
  let cold: string | null = null;
  if (turn && turn.known > 0 && (turn.conversation.mayBeCold || isElsewhere)) {
    const ready = await makeReady(gateway, turn.conversation, signal);
    if (!ready.isThere) return { isThere: false, isNew, isForeign: false, cold: null };
    cold = ready.why;
    // What was brought back from a file is the conversation's own from now on.
    if (passage) await outside.letPass(spec, salt, signal);
  }
  if (hasOnePlace) outside.tookEngine(spec, session);
  return { isThere: true, isNew, isForeign: passage?.mayReuse === false, cold };
}

/** The server loses the conversation that it has now. */
async function leave(
  { outside, recogniser, recorder }: GatewayContext,
  spec: string,
  holder: SessionId,
  signal: AbortSignal,
): Promise<void> {
  const stored = (): Promise<void> => recorder.storedOf(holder);
  // All that its last request was about, but for the last token of the answer: a server computes it with the next one.
  const tokens = (recogniser.ofSession(holder)?.lastTokens ?? 0) - 1;
  const isNew = recorder.isPending(holder) || outside.isUnsaved(holder);
  if (isNew && (await outside.leavePlace(spec, { tokens, stored }, signal))) return;
  // What the server has is known as unsaved only once its last answer is stored.
  await stored();
  await outside.saveHolder(spec, signal);
}

/** A session that cannot be made ready costs time, not the turn: its prompt is computed. */
async function makeReady(
  { outside, recorder }: GatewayContext,
  conversation: Conversation,
  signal: AbortSignal,
): Promise<{ readonly isThere: boolean; readonly why: string | null }> {
  const { session } = conversation;
  await recorder.storedOf(session);
  try {
    const ready = await outside.makeReady(session, signal);
    conversation.mayBeCold = false;
    return ready;
  } catch (error) {
    if (signal.aborted || isCwmError(error, 'Cancelled')) throw error;
    recorder.failed(error, session);
    const isGone = isCwmError(error, 'WindowNotFound', 'Corrupted');
    return { isThere: !isGone, why: error instanceof Error ? error.message : null };
  }
}
