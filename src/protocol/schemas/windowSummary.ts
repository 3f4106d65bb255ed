import type { Receipt } from './receipt.ts';
import type { ReuseTotals, WindowManifest, WindowSummary } from './window.ts';

export interface WindowSources {
  readonly manifest: WindowManifest;
  /** As the window's KV record says; null when it does not know, or was damaged. */
  readonly kvBytes: number | null;
  /** Oldest first. */
  readonly receipts: readonly Receipt[];
  readonly isPinned: boolean;
}

/** A window as lists show it, from its records alone. */
export const windowSummary = ({ manifest, kvBytes, receipts, isPinned }: WindowSources): WindowSummary => ({
  name: manifest.name,
  description: manifest.description,
  tags: manifest.tags,
  session: manifest.session,
  lastMessage: manifest.messageIds.at(-1) ?? null,
  mode: manifest.mode,
  model: manifest.model.id,
  engine: manifest.engine,
  project: manifest.project,
  parentWindow: manifest.parentWindow,
  tokens: manifest.tokens.count,
  kvBytes,
  pinned: isPinned,
  createdAt: manifest.createdAt,
  lastThaw: lastThaw(receipts),
  reuse: reuseOf(receipts),
});

function lastThaw(receipts: readonly Receipt[]): WindowSummary['lastThaw'] {
  const thaw = receipts.findLast((receipt) => receipt.operation === 'thaw' && receipt.verdict !== null);
  return thaw?.verdict ? { verdict: thaw.verdict, at: thaw.at } : null;
}

function reuseOf(receipts: readonly Receipt[]): ReuseTotals {
  const totals = { thaws: 0, promptTokens: 0, cachedTokens: 0 };
  for (const { operation, promptTokens, cachedTokens } of receipts) {
    if (operation !== 'thaw' || promptTokens === null || cachedTokens === null) continue;
    totals.thaws++;
    totals.promptTokens += promptTokens;
    totals.cachedTokens += cachedTokens;
  }
  return totals;
}
