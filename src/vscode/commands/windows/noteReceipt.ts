import type { Receipt } from '../../../protocol/schemas/receipt.ts';
import type { App } from '../../app.ts';

/** Remembers a receipt as the last one of its session. */
export function noteReceipt(app: App, receipt: Receipt): void {
  const receipts = new Map(app.state.current.receipts).set(receipt.session, receipt);
  app.state.update({ receipts });
  app.documents.refresh('receipts', receipt.window);
}
