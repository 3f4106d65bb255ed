import type { Receipt } from '../../protocol/receipt.ts';
import type { Session } from '../../protocol/session.ts';
import type { WindowManifest, WindowSummary } from '../../protocol/window.ts';

export interface SessionRow {
  readonly id: string;
  readonly search: string;
  readonly project: string | null;
  readonly lifecycle: string;
  readonly model: string | null;
  readonly updatedAt: string;
  readonly stamp: string;
}

export interface WindowRow {
  readonly search: string;
  readonly summary: WindowSummary;
  readonly lineage: string;
  readonly stamp: string;
}

export const sessionRow = (session: Session, stamp: string): SessionRow => ({
  id: session.id,
  search: searchText(session.title, session.id),
  project: session.project,
  lifecycle: session.lifecycle,
  model: session.model?.id ?? null,
  updatedAt: session.updatedAt,
  stamp,
});

export interface WindowSources {
  readonly manifest: WindowManifest;
  /** As the window's KV record says; null when it does not know, or was damaged. */
  readonly kvBytes: number | null;
  readonly receipts: readonly Receipt[];
  readonly isPinned: boolean;
  readonly stamp: string;
}

export const windowRow = ({ manifest, kvBytes, receipts, isPinned, stamp }: WindowSources): WindowRow => ({
  search: searchText(manifest.name, manifest.description),
  summary: {
    name: manifest.name,
    description: manifest.description,
    tags: manifest.tags,
    session: manifest.session,
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
  },
  lineage: manifest.lineage,
  stamp,
});

function lastThaw(receipts: readonly Receipt[]): WindowSummary['lastThaw'] {
  const thaw = receipts.findLast((receipt) => receipt.operation === 'thaw' && receipt.verdict !== null);
  return thaw?.verdict ? { verdict: thaw.verdict, at: thaw.at } : null;
}

/** A line each, in lower case: a search term without a line break can't match across them. */
const searchText = (...texts: readonly string[]): string => texts.join('\n').toLowerCase();
