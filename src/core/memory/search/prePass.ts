import type { ContextFile } from '../../../protocol/schemas/session.ts';
import type { CoreContext } from '../../context.ts';
import type { Remembering } from '../remembering.ts';
import { pagesFor } from './pagesFor.ts';
import { asksForRecall } from './recallPhrases.ts';

/** Pages that come by themselves. */
const mostPages = 5;
/** Nobody asked for them, so that they must say about as much as the best one. */
const leastShare = 0.5;
const folder = 'recalled';

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
  const { session } = turn;
  if (!session.settings?.memory?.enableVm || !asksForRecall(text)) return null;
  const { segments } = await core.memories.of(session);
  if (segments.length === 0) return null;
  const pages = await pagesFor(core, turn, { text, limit: mostPages, atLeast: leastShare, onlyGone: true }, signal);
  const files = pages.slice(0, mostPages).map(({ id, message, text }) => ({
    path: `${folder}/${id} (${message.role}, ${message.createdAt.slice(0, 10)})`,
    text,
  }));
  return files.length === 0 ? null : files;
}
