import type { Capability } from '../../protocol/schemas/capabilities.ts';
import { capability } from './capability.ts';
import type { ProbeSize, TinyAnswers } from './tinyRequests.ts';

/** Advice for the user of this kind of server. */
export interface ReuseRemedies {
  readonly reuse: string;
  readonly told: string;
  readonly isolation: string;
}

export interface ProbeEvidence {
  readonly tried: TinyAnswers;
  readonly size: ProbeSize;
  /** By the server's own account. */
  readonly toldBlockTokens: number | null;
  /** The model's state cannot be cut at a token, so that reuse begins only where a whole state was stored. Default: not known. */
  readonly cannotCut?: boolean;
  /** Nobody says whether the model has a sliding window, which loses the last tokens of each context: more than these requests have. Default: false. */
  readonly mayLoseLast?: boolean;
  /** Known beforehand to share KV across salts, and why. */
  readonly sharedBecause: string | null;
  /** The part that is to blame when a salt has no effect. */
  readonly saltReader: string;
  /** A part that may share the KV of longer contexts, even where these short ones show no sharing. */
  readonly mayBeSharedBecause: string | null;
  readonly remedies: ReuseRemedies;
}

const nothingSaid = 'The server does not say how much it reused.';
const notBelieved = 'What the server says about reuse is not believed.';

/** Concludes only what the tiny requests show about reuse: silence and failures are `unknown`. */
export function judgeReuse(evidence: ProbeEvidence): { items: Capability[]; blockTokens: number | null } {
  const { items, blockTokens } = blockSize(evidence);
  return { items: [reuse(evidence), reuseTold(evidence), isolation(evidence), ...items], blockTokens };
}

/** Why no conclusion is possible yet; null when the server answered the context twice, with counts that can be true. */
function obstacle({ tried: { answers, failure } }: ProbeEvidence): string | null {
  const { fresh, repeated } = answers;
  if (!fresh || !repeated) return failure?.message ?? nothingSaid;
  if ((fresh.cached ?? 0) > 0) return notBelieved;
  return repeated.cached === null ? nothingSaid : null;
}

function reuse(evidence: ProbeEvidence): Capability {
  const why = obstacle(evidence);
  if (why !== null) return capability('reuse', 'unknown', why, why === nothingSaid ? evidence.remedies.told : '');
  const { cached, sentTokens } = evidence.tried.answers.repeated ?? { cached: 0, sentTokens: 0 };
  if (cached !== null && cached > 0) {
    return capability(
      'reuse',
      'yes',
      `${cached} of ${sentTokens} tokens came from the cache when they were sent again.`,
    );
  }
  const { blockTokens, isAssumed } = evidence.size;
  if (evidence.mayLoseLast) {
    const found = `None of ${sentTokens} tokens were reused when sent again. A model with a sliding window computes the last tokens of each context again, so the first freeze shows it.`;
    return capability('reuse', 'unknown', found, evidence.remedies.reuse);
  }
  return isAssumed || sentTokens <= blockTokens
    ? capability(
        'reuse',
        'unknown',
        `None of ${sentTokens} tokens were reused when sent again: its blocks may be larger.`,
      )
    : capability(
        'reuse',
        'no',
        `All ${sentTokens} tokens were computed again when sent again.`,
        evidence.remedies.reuse,
      );
}

function reuseTold({ tried: { answers, failure }, remedies }: ProbeEvidence): Capability {
  const { fresh, repeated } = answers;
  if (!fresh || !repeated) return capability('reuse-told', 'unknown', failure?.message ?? nothingSaid);
  if ((fresh.told ?? 0) > 0) {
    const claim = `It said that ${fresh.told} tokens were reused of a context that it had never been sent, so what it says is not believed.`;
    return capability('reuse-told', 'no', claim, 'Connect to the model server directly, or update it.');
  }
  if (repeated.told === null) {
    const counted = repeated.cached === null ? '' : ' Its counters do, as long as nobody else uses it.';
    return capability('reuse-told', 'no', `Its answers do not say how much was reused.${counted}`, remedies.told);
  }
  if (fresh.told === null) {
    const found = 'Its answers say it, but leave a 0 out, which then counts as not known (vllm#44377).';
    return capability('reuse-told', 'yes', found, 'Update the model server.');
  }
  return capability('reuse-told', 'yes', 'Each answer says it.');
}

function isolation(evidence: ProbeEvidence): Capability {
  const { tried, sharedBecause, saltReader, mayBeSharedBecause, remedies } = evidence;
  const { repeated, otherSalt } = tried.answers;
  if (sharedBecause !== null) return capability('isolation', 'no', sharedBecause, remedies.isolation);
  const why = obstacle(evidence);
  if (why !== null) return capability('isolation', 'unknown', why, why === nothingSaid ? remedies.told : '');
  if (repeated?.cached === 0) return capability('isolation', 'unknown', 'Nothing was reused that could be kept apart.');
  if (!otherSalt) return capability('isolation', 'unknown', tried.failure?.message ?? nothingSaid);
  const { cached, sentTokens } = otherSalt;
  if (cached === null) return capability('isolation', 'unknown', nothingSaid, remedies.told);
  if (cached > 0) {
    const found = `${cached} of ${sentTokens} tokens were reused under another cache salt. ${saltIgnored(saltReader)}`;
    return capability('isolation', 'no', found, remedies.isolation);
  }
  return mayBeSharedBecause === null
    ? capability('isolation', 'yes', 'The same tokens under another cache salt reused nothing.')
    : capability('isolation', 'unknown', mayBeSharedBecause, remedies.isolation);
}

/** The finding for a salt without effect. */
export const saltIgnored = (who: string): string =>
  `${who} ignores the cache salt: others who know the text may hit your KV; isolation is not promised.`;

function blockSize(evidence: ProbeEvidence): { items: Capability[]; blockTokens: number | null } {
  const { tried, size, toldBlockTokens } = evidence;
  const seen = obstacle(evidence) === null ? grainOf(tried) : null;
  const item = (state: Capability['state'], found: string): Capability[] => [capability('block-size', state, found)];
  const told = size.isAssumed ? null : toldBlockTokens;
  if (told !== null && evidence.cannotCut) {
    const found = `${inTokens(told)}, as the server tells. This model's state cannot be cut at a token, so a context is reused from where a turn or a freeze ended, not from each block.`;
    return { items: item('yes', found), blockTokens: told };
  }
  if (told !== null && seen !== null && told !== seen) {
    const found = `The server tells ${inTokens(told)}, but what it reused came in multiples of ${inTokens(seen)}.`;
    return { items: item('unknown', found), blockTokens: seen };
  }
  const tokens = seen ?? told;
  if (told !== null) {
    const how = seen === null ? 'as the server tells' : 'as the server tells, and as seen in what it reused';
    return { items: item('yes', `${inTokens(told)}, ${how}.`), blockTokens: told };
  }
  const assumed = `It was looked for with prompts for ${size.blockTokens} tokens a block, since the server does not tell.`;
  return tokens === null
    ? { items: item('unknown', `Not told, and not seen. ${assumed}`), blockTokens: null }
    : { items: item('yes', `${inTokens(tokens)}, as seen in what it reused. ${assumed}`), blockTokens: tokens };
}

const inTokens = (count: number): string => `${count} ${count === 1 ? 'token' : 'tokens'}`;

/** The one block size under which both counts come out: whole blocks, never the last token. Null when none or several fit. */
function grainOf({ answers: { repeated, shorter } }: TinyAnswers): number | null {
  if (!repeated?.cached || shorter?.cached === null || shorter === undefined) return null;
  const fits: number[] = [];
  for (let tokens = 1; tokens <= repeated.cached; tokens++) {
    const reusable = (sent: number): number => Math.floor((sent - 1) / tokens) * tokens;
    if (reusable(repeated.sentTokens) === repeated.cached && reusable(shorter.sentTokens) === shorter.cached)
      fits.push(tokens);
  }
  return fits.length === 1 ? (fits[0] ?? null) : null;
}
