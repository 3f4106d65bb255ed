import type { ClientAnswer, ClientMessage, ClientTurn } from '../../core/sessions/memory/clientTurns.ts';
import { readParts } from '../../core/prompt/messageParts.ts';
import type { Reporter } from '../../core/ports/reporter.ts';
import { isCwmError } from '../../protocol/errors.ts';
import type { MessageId, SessionId } from '../../protocol/ids.ts';
import type { GatewayContext } from '../context.ts';
import { clientTags } from '../clients/clientTags.ts';
import type { Item } from '../formats/item.ts';
import type { AnswerUnderWay } from './memoryAnswer.ts';
import type { MemoryAsker, Place, Talk } from './talks.ts';

export interface SaidTurn extends ClientAnswer {
  readonly session: SessionId;
}

interface MemoryTurn {
  readonly asker: MemoryAsker;
  /** The model server that the request is for. */
  readonly engine: string;
  readonly items: readonly Item[];
  readonly turn: Pick<ClientTurn, 'system' | 'tools' | 'toolChoice' | 'sampling' | 'importance'>;
  readonly answer: Pick<AnswerUnderWay, 'text' | 'reasoning' | 'session'>;
  /** By which the client may name the answer in its next request. */
  readonly answerId: MessageId;
}

export const itemOf = (
  { text, reasoning }: Pick<AnswerUnderWay, 'text' | 'reasoning'>,
  { calls }: Pick<ClientAnswer, 'calls'>,
): Item => ({
  role: 'assistant',
  text,
  ...(reasoning !== '' && { reasoning }),
  ...(calls.length > 0 && { calls }),
});

/**
 * The turn in the session that has what the client says again; in a new one where none has.
 *
 * @throws CwmError as {@link ClientTurns.answer}.
 */
export async function turnOf(
  gateway: GatewayContext,
  given: MemoryTurn,
  signal: AbortSignal,
  reporter: Reporter,
): Promise<SaidTurn> {
  const { talks, clientTurns } = gateway;
  const { asker, engine, items, answer } = given;
  for (let isReady = false; ;) {
    const place = await talks.find(asker, items);
    if (!place) break;
    try {
      return await runIn(gateway, place.talk, place, given, signal, reporter);
    } catch (error) {
      if (answer.text !== '') throw error;
      // Another model, or results of calls that it has not: the request has the whole conversation.
      if (isCwmError(error, 'MessageNotFound', 'ModelMismatch')) break;
      const isThere = !isCwmError(error, 'SessionNotFound') && (await isOpened(gateway, place.talk, error, signal));
      if (isThere && (isReady || !isCwmError(error, 'AlreadyFrozen'))) throw error;
      if (!isThere) talks.forget(place.talk);
      isReady = isThere;
    }
  }
  const tags = [...clientTags(asker.client)];
  const session = await clientTurns.begin({ project: asker.project, engine, tags, system: asker.system }, signal);
  return runIn(gateway, talks.begun(asker, session.id), null, given, signal, reporter);
}

/** Thaws a frozen session. False where the session is gone, has expired or has lost its window. */
async function isOpened(
  { outside, onFailure }: GatewayContext,
  { session }: Talk,
  error: unknown,
  signal: AbortSignal,
): Promise<boolean> {
  if (!isCwmError(error, 'AlreadyFrozen', 'InvalidTransition')) return true;
  try {
    return (await outside.makeReady(session, signal)).isThere;
  } catch (thrown) {
    if (!isCwmError(thrown, 'WindowNotFound', 'Corrupted')) throw thrown;
    onFailure(thrown, 'a frozen conversation with memory could not be thawed');
    return false;
  }
}

/** @param place null: the session was just made. */
async function runIn(
  { talks, clientTurns, places, onFailure }: GatewayContext,
  talk: Talk,
  place: Place | null,
  { asker, engine, items, turn, answer, answerId }: MemoryTurn,
  signal: AbortSignal,
  reporter: Reporter,
): Promise<SaidTurn> {
  const { session } = talk;
  answer.session = session;
  const ended = async (said: Item | null): Promise<void> =>
    talks
      .ended(talk, place, asker, { items, answer: said })
      .catch((error: unknown) => onFailure(error, 'the end of a conversation with memory could not be noted'));
  const added = newPart(items, place?.known ?? 0);
  const after = place?.message ?? null;
  // A client may ask for a title beside its conversation, or continue before a stopped answer has ended.
  const { leave } = await places.take(`session ${session}`, signal);
  try {
    const said = await clientTurns.answer({ ...turn, session, engine, after, answerId, ...added }, signal, reporter);
    await ended(itemOf(answer, said));
    return { ...said, session };
  } catch (error) {
    if (!isCwmError(error, 'SessionNotFound')) await ended(null);
    throw error;
  } finally {
    leave();
  }
}

/** What a request adds behind what is known: results of calls, what was said since, and what the user says. */
function newPart(items: readonly Item[], known: number): Pick<ClientTurn, 'results' | 'said' | 'text' | 'parts'> {
  const isNew = known === 0;
  const behind = items.findIndex(({ role }, at) => at >= known && (isNew || role !== 'tool'));
  const from = behind === -1 ? items.length : behind;
  const last = items.length > from ? items.at(-1) : undefined;
  const isAsked = last?.role === 'user';
  const results = items.slice(known, from).map(({ callId = '', text }) => ({ call: callId, text }));
  const said = messagesOf(items, from, isAsked ? items.length - 1 : items.length);
  return { results, said, text: isAsked ? last.text : null, parts: (isAsked && last.parts) || [] };
}

function messagesOf(items: readonly Item[], from: number, to: number): readonly ClientMessage[] {
  const names = new Map<string, string>();
  const found: ClientMessage[] = [];
  for (const [at, item] of items.slice(0, to).entries()) {
    for (const { id, name } of item.calls ?? []) names.set(id, name);
    if (at >= from) found.push(messageOf(item, names));
  }
  return found;
}

function messageOf(
  { role, text, calls = [], callId = '', reasoning, parts = [] }: Item,
  names: ReadonlyMap<string, string>,
): ClientMessage {
  if (role === 'tool') {
    const name = names.get(callId) ?? 'tool';
    return { role, content: { type: 'tool-result', call: callId, name, text, outcome: 'done' } };
  }
  const thought = reasoning !== undefined && { reasoning };
  return {
    role,
    content:
      calls.length > 0
        ? { type: 'tool-calls', text, ...thought, calls: [...calls] }
        : { type: 'text', text, ...(parts.length > 0 && { parts: readParts(parts) }), ...thought },
  };
}
