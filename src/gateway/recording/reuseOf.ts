import { noEvidence, type ReuseEvidence } from '../../core/ports/engine.ts';
import type { Answer } from '../formats/item.ts';

/** What an answer that passed shows of reuse. Nobody knows what else the server did then. */
export const reuseOf = ({ usage }: Answer, timeToFirstTokenMs: number | null): ReuseEvidence => ({
  ...noEvidence(usage?.promptTokens ?? 0),
  cachedTokens: usage?.cachedTokens ?? null,
  cachedTokensFrom: usage?.cachedTokens === null || usage === null ? 'none' : 'usage',
  timeToFirstTokenMs,
});
