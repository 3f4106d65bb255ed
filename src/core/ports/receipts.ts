import type { WindowName } from '../../protocol/ids.ts';
import type { Receipt } from '../../protocol/schemas/receipt.ts';

/** The receipts of each window. Deleting the window moves them to the trash with it. */
export interface ReceiptStore {
  append(window: WindowName, receipt: Receipt): Promise<void>;
  /** Oldest first. */
  list(window: WindowName): Promise<Receipt[]>;
}
