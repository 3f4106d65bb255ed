import type { TokenList } from '../../base/tokenIds.ts';
import type { Message, PrefixBreak, Session } from '../../protocol/schemas/session.ts';
import type { PendingTools } from '../../protocol/schemas/toolCall.ts';
import type { CoreContext } from '../context.ts';
import type { Generation } from '../ports/engine.ts';
import { tokensTaken } from '../prompt/taken.ts';
import { hasPictures } from '../prompt/pictures.ts';
import { segmentsOf, type Shown } from '../memory/show.ts';
import { findPrefixBreak } from '../prompt/prefixBreak.ts';
import { systemPromptOf } from '../session.ts';
import { storeAnswer } from './storeAnswer.ts';
import { endFailedTurn, forgetAnswer, tokensBefore, type Turn } from './turn.ts';

/** Tools that the answer calls: with them, the turn does not end. */
export interface CalledTools {
  readonly pending: PendingTools;
  /** Whether the user must decide before anything runs. */
  readonly event: 'needApproval' | 'runTools';
}

/** What a turn ends with. */
export interface TurnEnd {
  /** Messages that it adds, the answer last. */
  readonly added: readonly Message[];
  readonly generation: Generation;
  /** Default: the answer calls no tools. */
  readonly calls?: CalledTools | null;
}

interface Ended {
  readonly session: Session;
  readonly prefixBreak: PrefixBreak | null;
}

/**
 * Ends a turn and stores its results: token ids, then messages, then the version of the session that names both. After a failure only the
 * session's draft differs from before the turn, so that the message can be sent again.
 */
export async function endTurn(core: CoreContext, turn: Turn, end: TurnEnd, signal: AbortSignal): Promise<Ended> {
  try {
    turn.answer?.close();
    const ended = await writeTurn(core, turn, end, signal);
    await forgetAnswer(core, turn);
    return ended;
  } catch (error) {
    await endFailedTurn(core, turn, error);
    throw error;
  }
}

async function writeTurn(
  core: CoreContext,
  turn: Turn,
  { added: messages, generation, calls = null }: TurnEnd,
  signal: AbortSignal,
): Promise<Ended> {
  const { promptIds, outputIds, idsSource, cut = null } = generation;
  const { session, description } = turn;
  const prefixBreak = await breakOf(core, turn, promptIds, signal);
  const hasAnswer = messages.some((message) => message.role === 'assistant');
  const stored = await storeAnswer(core, session, {
    messages,
    length: turn.messages.length + messages.length,
    ids: {
      prompt: promptIds,
      output: hasAnswer ? outputIds : [],
      source: idsSource,
      cut,
      media: hasPictures([...(turn.shown?.messages ?? turn.messages), ...messages]),
      segments: turn.shown ? segmentsOf(turn.shown) : session.tokens?.segments,
    },
    taken: tokensTaken(description, generation),
    events: [calls?.event ?? 'answered'],
    changed: {
      model: description.model,
      ...(calls && { pendingTools: calls.pending }),
      draft: hasAnswer ? null : session.draft,
      prefixBreaks: session.prefixBreaks + (prefixBreak ? 1 : 0),
    },
  });
  turn.session = stored.session;
  turn.messages = core.conversations.added(session.id, turn.messages, stored.messages);
  return { session: stored.session, prefixBreak };
}

async function breakOf(
  core: CoreContext,
  { session, engine, messages, shown }: Turn,
  prompt: readonly number[],
  signal: AbortSignal,
): Promise<PrefixBreak | null> {
  const before = prompt.length > 0 ? await tokensBefore(core, session) : null;
  if (!session.tokens || !before) return null;
  if (shown && (shown.isChanged || shown.layout.length > 0)) return breakOfMemory(before, prompt, shown);
  const compared = { before, beforeTokens: session.tokens, prompt, system: systemPromptOf(session), messages };
  return findPrefixBreak(compared, engine, signal).catch((error: unknown) => {
    // The answer is whole: a stop of the turn must not lose it now.
    if (signal.aborted) return null;
    throw error;
  });
}

/** Memory says itself which message the new prompt leaves the old one at. */
function breakOfMemory(before: TokenList, prompt: readonly number[], shown: Shown): PrefixBreak | null {
  const atToken = before.sharedWith(prompt);
  if (atToken === before.length) return null;
  return {
    atToken,
    lostTokens: before.length - atToken,
    messageSequence: shown.isChanged ? (shown.layout.at(-1)?.firstSequence ?? null) : null,
    likelyCause: shown.isChanged
      ? 'Virtual memory replaced older messages by a summary to make room.'
      : 'An earlier part of the prompt is rendered differently than before.',
  };
}
