import { commonPrefixLength } from '../../../base/tokenIds.ts';
import type { LeftKv } from '../../../core/ports/engine.ts';
import type { HomeSlot } from './homeSlot.ts';
import type { Place } from './place.ts';
import { saveSlot } from './slotActions.ts';
import type { SlotFolder } from './slotFolder.ts';
import { formatHandle, slotFileName } from './slotHandle.ts';

/**
 * Has the server write a slot as it is, into a file under a name that no record has, and computes nothing: another conversation waits for
 * the slot. What the file is worth is looked at without the server.
 *
 * @param tokens that the slot must have: with another number, another program used it. @returns null where nothing was written, or no file of it stays.
 */
export async function leavePlace(
  { link, server, slot }: Place,
  { home, folder }: { readonly home: HomeSlot; readonly folder: SlotFolder },
  { salt, tokens }: { readonly salt: string; readonly tokens: number },
): Promise<LeftKv | null> {
  if (!server.savesSlots || !home.hasComputed(slot, salt)) return null;
  if ((await folder.whyUnreachable()) !== null) return null;
  const draft = await folder.newDraft();
  if (draft === null) return null;
  const drop = async (): Promise<void> => void (await folder.forget([draft]));
  try {
    // It is never ended halfway: the server would write the rest of the file after it was deleted.
    const saved = await saveSlot(link, slot, slotFileName(draft), new AbortController().signal);
    const isIt = !('why' in saved) && saved.sizeBytes > 0 && (await folder.hasDraft(draft, saved.sizeBytes));
    if (!isIt || saved.tokens !== tokens) {
      await drop();
      return null;
    }
  } catch (error) {
    await drop();
    throw error;
  }
  return {
    async take(context, atLeast) {
      const found = await folder.idsOf(draft);
      const common = found?.length === tokens ? commonPrefixLength(found, context.ids) : 0;
      const sizeBytes = common < Math.max(1, atLeast) ? null : await folder.shrink(draft, tokens);
      if (sizeBytes === null) {
        await drop();
        return null;
      }
      const hash = folder.hashOf(context, tokens);
      await folder.rename(draft, hash);
      return { handle: formatHandle({ hash, sizeBytes, tokens }), tokens: common };
    },
    drop,
  };
}
