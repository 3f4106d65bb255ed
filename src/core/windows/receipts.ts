import { formatCount } from '../../base/format.ts';
import type { Receipt } from '../../protocol/schemas/receipt.ts';
import type { EngineDescription, ReuseEvidence } from '../ports/engine.ts';
import { reuseFloor } from '../evidence/reuse.ts';

/** What a receipt says of a window's KV. */
export type Outcome = Omit<Receipt, 'operation' | 'session' | 'window' | 'ms' | 'expectedPrefillMs' | 'at' | 'summary'>;

/** The fields of a receipt that come straight from one measured request. */
export function reuseFields(
  reuse: ReuseEvidence | null,
  blockTokens: number | null,
  mostReusable?: number,
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
    floorTokens: reuse && blockTokens !== null ? mostOf(reuse, blockTokens, mostReusable) : null,
    blockTokens,
    timeToFirstTokenMs: reuse?.timeToFirstTokenMs ?? null,
    serverIdle: reuse?.serverIdle ?? null,
    counters: { ...reuse?.counters },
  };
}

/** The floor, or the reuse itself where it is more: a tail behind the blocks was reused, too, or another request showed less. */
function mostOf({ promptTokens, cachedTokens }: ReuseEvidence, blockTokens: number, mostReusable?: number): number {
  const floor = reuseFloor(promptTokens, blockTokens, mostReusable);
  return cachedTokens !== null && cachedTokens <= promptTokens ? Math.max(floor, cachedTokens) : floor;
}

/** Why the counts of a request are no evidence, and how the user can get evidence. */
export function reuseNotes(reuse: ReuseEvidence): string[] {
  const { cachedTokensFrom, cachedTokens, promptTokens, isFromElsewhere, isTooSlow, isUnannounced, isContradicted } =
    reuse;
  if (isTooSlow)
    return [
      'The model server claimed reuse and took as long as computing the context takes, twice, so its claim is not believed.',
    ];
  if (isFromElsewhere)
    return [
      'The model server counted no request, so something in front of it answered instead: a response cache, say. Connect to the model server directly.',
    ];
  if (isUnannounced)
    return [
      'The model server publishes events about its KV blocks, and none of this request arrived: something else answered it, or the events were lost. Connect to the model server directly, or thaw again.',
    ];
  if (isContradicted)
    return [
      "The model server's own events contradict its claim of reuse: they do not show these blocks as stored before. Its claim is not believed.",
    ];
  return cachedTokensFrom === 'metrics'
    ? [
        `The server's own counters say that ${amount(cachedTokens)} of ${amount(promptTokens)} tokens were reused, but they count the requests of all clients. Start the server with --enable-prompt-tokens-details, so that it reports the reuse of each request.`,
      ]
    : [];
}

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
      return `${receipt.operation === 'freeze' ? 'Frozen' : 'Checkpoint'}: ${amount(receipt.tokens)} tokens. ${kept(receipt)}`;
    default:
      return thawSummary(receipt);
  }
}

function kept(receipt: Summarised): string {
  switch (receipt.verdict) {
    case 'proven':
      return receipt.tier === 'disk'
        ? 'The KV is on disk and can be reused.'
        : 'The KV can be reused. Whether it survives a server restart was not observed.';
    case 'reused':
      if (receipt.content.checksums === 'agreed') return `The KV can be reused. ${unseenContent(receipt)}`;
      return receipt.tier === 'disk'
        ? 'The KV is on disk and can be reused. A thaw cannot check its content.'
        : 'The KV can be reused. A thaw cannot check its content, and whether it survives a server restart was not observed.';
    case 'partial':
      return `Only ${amount(receipt.cachedTokens)} of ${amount(receipt.promptTokens)} tokens can be reused.`;
    case 'rebuilt':
      return isTooShort(receipt)
        ? `The text is safe. ${tooShort(receipt)} A thaw computes the whole context.`
        : 'The text is safe. The model server reused nothing, so a thaw computes the whole context again.';
    default:
      if (isUnasked(receipt))
        return 'The KV is on disk as the model server had it. The next message shows how much of it is reused.';
      return 'The text is safe. The model server does not say whether its KV can be reused.';
  }
}

function thawSummary(receipt: Summarised): string {
  const { verdict, cachedTokens, promptTokens, repair } = receipt;
  switch (verdict) {
    case 'proven':
      return `Proven: ${amount(cachedTokens)} of ${amount(promptTokens)} tokens came from ${place(receipt)}; ${rest(receipt)} computed again, the minimum for this model server.`;
    case 'reused':
      return `Reused: ${amount(cachedTokens)} of ${amount(promptTokens)} tokens came from ${place(receipt)}; ${rest(receipt)} computed again, the minimum for this model server. ${unseenContent(receipt)}`;
    case 'partial':
      return `Partial: ${amount(cachedTokens)} of ${amount(promptTokens)} tokens were reused; ${rest(receipt)} computed again.`;
    case 'rebuilt':
      return `Rebuilt: nothing was reused; all ${amount(promptTokens)} tokens were computed again. ${isTooShort(receipt) ? tooShort(receipt) : 'The context is warm now.'}`;
    case 'unobserved':
      if (receipt.tier === 'disk' && isUnasked(receipt))
        return 'Unobserved: the KV is back from its file, which is whole. The next message shows how much of it is reused.';
      return 'Unobserved: the context was sent, but the model server gives no usable evidence of reuse. Nothing is claimed.';
    case 'damaged':
      return `Damaged: the model server reused KV that is not what was frozen. ${
        repair === 'none'
          ? 'It could not be discarded, so the next answers may rest on it.'
          : 'It was discarded, and the context was rebuilt from its tokens.'
      }`;
    case 'mismatch':
      return 'Mismatch: the served model differs from the frozen one in name or weights. The conversation is open, and its KV cache is not used.';
    default:
      return 'Text only: the model server did not bring the KV cache back. The conversation is open, and nothing was warmed.';
  }
}

/** The KV was written or read as it is, and its file is whole; no request measured it. */
const isUnasked = ({ promptTokens, content }: Summarised): boolean =>
  promptTokens === null && content.checksums === 'agreed';

/** Then nothing of it could have been reused, and nothing is wrong. */
const isTooShort = ({ floorTokens, blockTokens }: Summarised): boolean => floorTokens === 0 && (blockTokens ?? 1) > 1;
const tooShort = ({ blockTokens }: Summarised): string =>
  `The context is too short to be reused: this model server reuses blocks of ${amount(blockTokens)} tokens, and never the last token, so it takes ${amount((blockTokens ?? 0) + 1)} tokens at least.`;

/** Proven reuse says nothing about the content of the reused tokens. */
const unseenContent = ({ content }: Summarised): string =>
  content.isImported
    ? 'A part of it came with a file: it is what came, and nobody can see what it says to the model.'
    : content.checksums === 'agreed' && content.blocksMissing === 0
      ? 'The files are whole, but the server did not return all token ids: they were worked out from the text, and may be others.'
      : content.canary === 'agreed'
        ? 'The canary agreed, which cannot show every change. Their content could not be checked further.'
        : 'Their content could not be checked.';

const place = ({ tier }: Summarised): string =>
  ({
    device: "the model server's memory",
    host: 'host memory',
    disk: 'disk',
    p2p: 'another server',
    external: 'an external cache',
  })[String(tier)] ?? 'the cache';

function rest({ promptTokens, cachedTokens }: Summarised): string {
  const tokens = (promptTokens ?? 0) - (cachedTokens ?? 0);
  return tokens === 1 ? 'the last one was' : `the other ${amount(tokens)} were`;
}

const amount = (value: number | null): string => (value === null ? '?' : formatCount(value));
