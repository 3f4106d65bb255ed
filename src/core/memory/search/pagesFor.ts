import { nullOn } from '../../../protocol/errors.ts';
import type { Modality } from '../../../protocol/memory/page.ts';
import type { MessageId, SessionId } from '../../../protocol/ids.ts';
import type { Message } from '../../../protocol/schemas/session.ts';
import type { CoreContext } from '../../context.ts';
import { countText } from '../segments/count.ts';
import { layoutOf } from '../segments/layout.ts';
import { pageIdOf, pageOf, textOf, type PageId } from '../page.ts';
import type { Remembering } from '../remembering.ts';
import { recall } from './recall.ts';

/** Tokens of a result, on average: so a search of five takes what five pages of ten turns take. */
const tokensOfResult = 310;
/** Less has no room for anything that helps. */
const fewestTokens = 16;
/** Of one page, in characters; the rest is asked for by its id. */
const longestText = 4_096;
/** How many of the best are looked at. */
const mostCandidates = 100;

/** A page that has to do with a question. */
export interface PageFor {
  readonly id: PageId;
  readonly message: Message;
  /** The session has it; else another one of the project, whose pages the model cannot ask for by their ids. */
  readonly isOwn: boolean;
  /** The model sees it anyway. */
  readonly isInPrompt: boolean;
  readonly text: string;
  /** Of `text`, as the engine counts them. */
  readonly tokens: number;
  readonly isCut: boolean;
}

export interface PageQuery {
  readonly text: string;
  /** 1 or more. */
  readonly limit: number;
  /** Of all texts together. Default: what `limit` says. */
  readonly mostTokens?: number | undefined;
  readonly modality?: Modality | undefined;
  /** Also in the other sessions of the project. */
  readonly inProject?: boolean;
  /** Leaves out what is worth less than this share of the best, 0 to 1. Default 0. */
  readonly atLeast?: number;
  /** Finds nothing unless the best is worth that many times the second. Default: it need not be. */
  readonly margin?: number;
  /** Only messages of this conversation that have left its prompt: none of another branch. */
  readonly onlyGone?: boolean;
  /** Leaves out the messages from this place in the conversation on. Default: none. */
  readonly before?: number;
}

/**
 * The pages that have most to do with a question, best first, on every branch of the session. Small ones are many: they take no more tokens
 * than `limit` pages of ten turns would, as the engine counts them.
 */
export async function pagesFor(
  core: CoreContext,
  { session, messages, engine }: Remembering,
  {
    text,
    limit,
    mostTokens = Infinity,
    modality,
    inProject = false,
    atLeast = 0,
    margin = 1,
    onlyGone = false,
    before = Infinity,
  }: PageQuery,
  signal: AbortSignal,
): Promise<PageFor[]> {
  const scope = inProject && session.project !== null ? { project: session.project } : { session: session.id };
  // What comes without being asked for must be meant by the words.
  const near = atLeast > 0 ? [] : await core.meaning.near(engine.spec, text, scope, signal);
  const ranked = await recall(core.store.search, text, scope, near);
  if ((ranked[0]?.score ?? 0) < margin * (ranked[1]?.score ?? 0)) return [];
  const memory = await core.memories.of(session);
  const conversation = memory.pagesOf(messages, layoutOf(messages, memory.segments, session.tokens));
  const pages: PageFor[] = [];
  let left = Math.min(limit * tokensOfResult, mostTokens);
  const leastScore = atLeast * (ranked[0]?.score ?? 0);
  for (const { found, score } of ranked.slice(0, mostCandidates)) {
    if (left < fewestTokens || score < leastScore) break;
    signal.throwIfAborted();
    const id = pageIdOf({ id: found.message, sequence: found.sequence });
    const here = conversation.at(found.sequence);
    const isHere = here?.id === id;
    const isInPrompt = conversation.table.inPromptAs(id)[0]?.level === 0;
    if (onlyGone && (isInPrompt || !isHere)) continue;
    if (isHere && found.sequence >= before) continue;
    const message = (isHere && here ? conversation.messageOf(here) : null) ?? (await stored(core, found));
    // Files and what was recalled earlier are copies.
    if (!message || message.content.type === 'context') continue;
    if (modality !== undefined && pageOf(message, null).modality !== modality) continue;
    const whole = textOf(message);
    const shown = whole.length > longestText ? whole.slice(0, longestText).toWellFormed() : whole;
    const tokens = await countText(engine, shown, signal);
    if (tokens > left) continue;
    left -= tokens;
    pages.push({
      id,
      message,
      isOwn: found.session === session.id || isHere,
      isInPrompt,
      text: shown,
      tokens,
      isCut: shown.length < whole.length,
    });
  }
  return pages;
}

/** Of another branch or session: this conversation's messages are in memory. */
async function stored(
  core: CoreContext,
  { session, message }: { readonly session: SessionId; readonly message: MessageId },
): Promise<Message | null> {
  const [read] =
    (await nullOn(core.store.messages.load(session, [message]), 'Corrupted', 'MessageNotFound', 'SessionNotFound')) ??
    [];
  return read ?? null;
}
