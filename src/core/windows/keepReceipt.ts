import { toCwmError } from '../../protocol/errors.ts';
import type { WindowName } from '../../protocol/ids.ts';
import type { Receipt } from '../../protocol/schemas/receipt.ts';
import type { CoreContext } from '../context.ts';

/**
 * Keeps the receipt of what was done with the window. When that cannot be (the window was deleted meanwhile, the disk is full), the
 * receipt says so itself: what it tells of is done all the same, and calling it a failure would be wrong.
 *
 * @returns the receipt to answer with.
 */
export async function keepReceipt(core: CoreContext, window: WindowName, receipt: Receipt): Promise<Receipt> {
  try {
    await core.store.appendReceipt(window, receipt);
    return receipt;
  } catch (error) {
    const note = `This receipt could not be kept with the window: ${toCwmError(error).message}`;
    return { ...receipt, notes: [...receipt.notes, note] };
  }
}
