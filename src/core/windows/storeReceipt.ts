import { toCwmError } from '../../protocol/errors.ts';
import type { WindowName } from '../../protocol/ids.ts';
import type { Receipt } from '../../protocol/schemas/receipt.ts';
import type { CoreContext } from '../context.ts';

/**
 * Stores the receipt of an operation on the window. When it cannot be stored (the window has been deleted, the disk is full), the
 * receipt says so itself. The operation is done all the same, and calling it a failure would be wrong.
 *
 * @returns the receipt to answer with.
 */
export async function storeReceipt(core: CoreContext, window: WindowName, receipt: Receipt): Promise<Receipt> {
  try {
    await core.store.receipts.append(window, receipt);
    return receipt;
  } catch (error) {
    const note = `This receipt could not be stored with the window: ${toCwmError(error).message}`;
    return { ...receipt, notes: [...receipt.notes, note] };
  }
}
