import type { Segment } from '../../../protocol/memory/records.ts';
import type { MemoryPage, StorageTier } from '../../../protocol/memory/page.ts';

/** Importance of what stands for others (S1-22). */
const importances = { summary: 0.9, claim: 0.8, index: 0.3 } as const;

/**
 * The pages that a segment consists of: its summary, with the pages that it has whole or shortened; each sentence that stands in it as it was
 * said; and the index of the pages that it only names. Their tokens together are the segment's.
 */
export function segmentPages(segment: Segment, tier: StorageTier): MemoryPage[] {
  const { id, text, tokens, claims = [], pages = [] } = segment;
  const shareOf = (characters: number): number | null =>
    tokens === null ? null : Math.floor((tokens * Math.min(characters, text.length)) / Math.max(1, text.length));
  const named = pages.filter(({ level }) => level === 3);
  const indexLines = text.split('\n').filter((line) => /^p\d+-[0-9a-f]{4} /.test(line));
  const parts = [
    ...claims.map((claim, at) => ({
      id: `${id}-c${at + 1}`,
      kind: 'claim' as const,
      characters: claim.text.length,
      represents: [{ page: claim.page, level: 1 as const }],
    })),
    ...(named.length === 0
      ? []
      : [
          {
            id: `${id}-index`,
            kind: 'index' as const,
            characters: indexLines.reduce((sum, line) => sum + line.length + 1, 0),
            represents: named,
          },
        ]),
  ].map((part) => ({ ...part, tokens: shareOf(part.characters) }));
  const rest = tokens === null ? null : tokens - parts.reduce((sum, part) => sum + (part.tokens ?? 0), 0);
  const common = {
    modality: 'text' as const,
    messageIds: [segment.from, segment.to],
    pinned: false,
    tier,
    level: 0 as const,
    sequence: segment.lastSequence,
    accesses: 0,
    accessedAt: segment.lastSequence,
  };
  return [
    {
      ...common,
      id,
      kind: 'summary',
      sizeBytes: Buffer.byteLength(text),
      tokens: rest,
      importance: importances.summary,
      pinnedBy: 'summary',
      represents: pages.filter(({ level }) => level !== 3),
    },
    ...parts.map(({ characters, ...part }) => ({
      ...common,
      ...part,
      sizeBytes: characters,
      importance: importances[part.kind],
      pinnedBy: part.kind,
    })),
  ];
}

/** The text of a page that is a part of a segment; all of the segment's where it is no claim. */
export function segmentPageText({ id, kind }: MemoryPage, segmentOf: (id: string) => Segment | null): string {
  const [name = '', part = ''] = id.split('-');
  const segment = segmentOf(name);
  if (!segment) return '';
  return kind === 'claim' ? (segment.claims?.[Number(part.slice(1)) - 1]?.text ?? '') : segment.text;
}
