import type { Receipt } from '../../protocol/schemas/receipt.ts';
import type { EngineDescription, ReuseEvidence } from '../ports/engine.ts';
import { reuseFloor } from '../evidence/reuse.ts';

/** The fields of a receipt that come straight from one measured request. */
export function reuseFields(
  reuse: ReuseEvidence | null,
  blockTokens: number | null,
): Pick<
  Receipt,
  | 'promptTokens'
  | 'cachedTokens'
  | 'cachedTokensFrom'
  | 'floorTokens'
  | 'blockTokens'
  | 'timeToFirstTokenMs'
  | 'serverIdle'
  | 'counters'
> {
  return {
    promptTokens: reuse?.promptTokens ?? null,
    cachedTokens: reuse?.cachedTokens ?? null,
    cachedTokensFrom: reuse?.cachedTokensFrom ?? 'none',
    floorTokens: reuse && blockTokens !== null ? reuseFloor(reuse.promptTokens, blockTokens) : null,
    blockTokens,
    timeToFirstTokenMs: reuse?.timeToFirstTokenMs ?? null,
    serverIdle: reuse?.serverIdle ?? null,
    counters: { ...reuse?.counters },
  };
}

/** Says how to have reuse proven where only the server's counters speak of it. */
export const reuseNotes = ({ cachedTokensFrom, cachedTokens, promptTokens }: ReuseEvidence): string[] =>
  cachedTokensFrom === 'metrics'
    ? [
        `The server's own counters say that ${amount(cachedTokens)} of ${amount(promptTokens)} tokens were reused, but they count everybody's. Start it with --enable-prompt-tokens-details to have each request tell.`,
      ]
    : [];

export const engineFields = (description: EngineDescription): NonNullable<Receipt['engine']> => ({
  kind: description.kind,
  version: description.version,
  model: description.model.id,
});

type Summarised = Omit<Receipt, 'summary'>;

/** A receipt with its result in plain words. */
export const withSummary = (receipt: Summarised): Receipt => ({ ...receipt, summary: summarise(receipt) });

function summarise(receipt: Summarised): string {
  switch (receipt.operation) {
    case 'clone':
      return `Cloned: both windows share all ${amount(receipt.tokens)} tokens, and no KV was written.`;
    case 'freeze':
    case 'checkpoint':
      return `${receipt.operation === 'freeze' ? 'Frozen' : 'Saved'}: ${amount(receipt.tokens)} tokens. ${kept(receipt)}`;
    case 'thaw':
      return thawSummary(receipt);
  }
}

function kept(receipt: Summarised): string {
  switch (receipt.verdict) {
    case 'proven':
      return receipt.tier === 'disk'
        ? 'Their KV is on disk and was seen to be reusable.'
        : 'Their KV was seen to be reusable; that it outlives a restart was not seen.';
    case 'reused':
      return receipt.tier === 'disk'
        ? 'Their KV is on disk and was seen to be reusable; a thaw cannot check its content.'
        : 'Their KV was seen to be reusable; a thaw cannot check its content, and that it outlives a restart was not seen.';
    case 'partial':
      return `Only ${amount(receipt.cachedTokens)} of ${amount(receipt.promptTokens)} tokens were seen to be reusable.`;
    case 'rebuilt':
      return 'The text is safe, but the engine reused nothing: a thaw will have to recompute it.';
    default:
      return 'The text is safe; the engine does not tell whether its KV can be reused.';
  }
}

function thawSummary(receipt: Summarised): string {
  const { verdict, cachedTokens, promptTokens, repair } = receipt;
  switch (verdict) {
    case 'proven':
      return `Proven: ${amount(cachedTokens)} of ${amount(promptTokens)} tokens came from ${place(receipt)}; the other ${rest(receipt)} were recomputed, the fewest this engine can.`;
    case 'reused':
      return `Reused: ${amount(cachedTokens)} of ${amount(promptTokens)} tokens came from ${place(receipt)}; the other ${rest(receipt)} were recomputed, the fewest this engine can. ${unseenContent(receipt)}`;
    case 'partial':
      return `Partial: ${amount(cachedTokens)} of ${amount(promptTokens)} tokens were reused; the other ${rest(receipt)} were recomputed.`;
    case 'rebuilt':
      return `Rebuilt: nothing was reused; all ${amount(promptTokens)} tokens were computed again. The context is warm now.`;
    case 'unobserved':
      return 'Unobserved: the context was sent, but this engine does not tell what it reused. Nothing is claimed.';
    case 'damaged':
      return `Damaged: the engine reused KV that is not what was frozen. ${
        repair === 'none'
          ? 'It could not be given up, so what is answered next may rest on it.'
          : 'It was discarded and the context rebuilt from its tokens.'
      }`;
    case 'mismatch':
      return 'Mismatch: another model is served than the one this window was frozen with. The text is open; its KV was not used.';
    default:
      return 'Text only: no engine answered. The conversation is open, and nothing was warmed.';
  }
}

/** Reuse is a proof of its own; of the content of what was reused it says nothing. */
const unseenContent = ({ content }: Summarised): string =>
  content.canary === 'agreed'
    ? 'The canary answered as at the freeze, which cannot show every change; their content could not be checked further.'
    : 'Their content could not be checked.';

const place = ({ tier }: Summarised): string =>
  ({
    device: "the engine's memory",
    host: 'host memory',
    disk: 'disk',
    p2p: 'another server',
    external: 'an external cache',
  })[String(tier)] ?? 'the cache';

const rest = ({ promptTokens, cachedTokens }: Summarised): string => amount((promptTokens ?? 0) - (cachedTokens ?? 0));

const amount = (value: number | null): string => (value === null ? '?' : value.toLocaleString('en-US'));
