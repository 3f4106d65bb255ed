import type { Session } from '../../protocol/schemas/session.ts';
import { familyOf } from '../../core/ports/lineages.ts';
import type { WindowSummary } from '../../protocol/schemas/window.ts';
import { windowSummary, type WindowSources } from '../../protocol/schemas/windowSummary.ts';

export interface SessionRow {
  readonly id: string;
  readonly search: string;
  readonly project: string | null;
  readonly lifecycle: string;
  readonly model: string | null;
  readonly updatedAt: string;
  readonly expiresAt: string | null;
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
  expiresAt: session.expiresAt ?? null,
  stamp,
});

export const windowRow = (sources: WindowSources, stamp: string): WindowRow => ({
  search: searchText(sources.manifest.name, sources.manifest.description),
  summary: windowSummary(sources),
  lineage: familyOf(sources.manifest.lineage),
  stamp,
});

/** A line each, in lower case: a search term without a line break cannot match across them. */
const searchText = (...texts: readonly string[]): string => texts.join('\n').toLowerCase();
