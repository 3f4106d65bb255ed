import type { ContextFile } from '../../../protocol/schemas/session.ts';
import type { CoreContext } from '../../context.ts';
import type { Remembering } from '../remembering.ts';
import { manifestOf } from '../pages/manifest.ts';
import { mostFaults, mostFaultTokens } from '../pages/faultLimits.ts';
import { limitOf } from '../segments/budget.ts';
import { layoutOf } from '../segments/layout.ts';
import { offeredMemoryTools } from '../tools.ts';
import { pagesFor, type PageFor } from './pagesFor.ts';
import { addsTo, mayPrefetch, prefetchMark, prefetchMargin, mostPrefetchTokens } from './prefetch.ts';
import { asksForRecall } from './recallPhrases.ts';

/** Pages that come by themselves. */
const mostPages = 5;
/** Nobody asked for them, so that they must say about as much as the best one. */
const leastShare = 0.5;
const folder = 'recalled';
/** Of the limit, for the list of pages that a strict memory gives with them. */
const manifestShare = 1 / 32;

/**
 * What a question asks to recall and the prompt no longer has: pages that enter the conversation before the question, so that nothing in front
 * of them is computed again. The model did not ask for them, so they take none of its faults.
 *
 * @returns null where nothing is asked for, nothing has left the prompt, or nothing is found.
 */
export async function recalledFor(
  core: CoreContext,
  turn: Remembering,
  text: string,
  signal: AbortSignal,
): Promise<readonly ContextFile[] | null> {
  const { session, messages } = turn;
  if (!session.settings?.memory?.enableVm) return null;
  const memory = await core.memories.of(session);
  if (memory.segments.length === 0) return null;
  if (!asksForRecall(text)) return mayPrefetch(messages, text) ? prefetched(core, turn, text, signal) : null;
  const pages = await pagesFor(core, turn, { text, limit: mostPages, atLeast: leastShare, onlyGone: true }, signal);
  const files = pages.slice(0, mostPages).map((page) => fileOf(page));
  if (files.length === 0) return null;
  if (session.settings.memory.vmMode !== 'strict') return files;
  const conversation = memory.pagesOf(messages, layoutOf(messages, memory.segments, session.tokens));
  const limit = limitOf(turn.description.model, session.settings.memory) ?? Infinity;
  const hasTools = (await offeredMemoryTools(core, turn, null, signal)).length > 0;
  const faults = hasTools ? { mostPages: mostFaults, mostTokens: mostFaultTokens } : null;
  const manifest = manifestOf(conversation, faults, limit * manifestShare);
  return [...files, { path: `${folder}/manifest.json`, text: JSON.stringify(manifest) }];
}

/** One page that a question most likely needs, without having asked for it (S1-54). */
async function prefetched(
  core: CoreContext,
  turn: Remembering,
  text: string,
  signal: AbortSignal,
): Promise<readonly ContextFile[] | null> {
  const what = { text, limit: 1, atLeast: 1, margin: prefetchMargin, onlyGone: true, mostTokens: mostPrefetchTokens };
  const [page] = await pagesFor(core, turn, what, signal);
  if (!page || !addsTo(text, page.text)) return null;
  const { id, tokens, isCut } = page;
  await core.memories.record(turn.session, [
    {
      type: 'mutation',
      what: 'fault_in',
      page: id,
      actor: 'system',
      reason: 'speculative',
      level: isCut ? 1 : 0,
      tokens,
      sequence: turn.messages.length,
      at: core.clock.now().toISOString(),
    },
  ]);
  return [fileOf(page, prefetchMark)];
}

const fileOf = ({ id, message, text }: PageFor, mark = ''): ContextFile => ({
  path: `${folder}/${id} (${message.role}, ${message.createdAt.slice(0, 10)}${mark})`,
  text,
});
