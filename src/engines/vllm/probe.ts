import { randomSalt } from '../../base/hash.ts';
import type { KvContext, ReuseEvidence } from '../../core/ports/engine.ts';
import type { Capabilities, Capability } from '../../protocol/schemas/capabilities.ts';
import type { Link } from '../http/link.ts';
import type { Sleep, Timer } from '../http/timing.ts';
import { canaryFound, capability, tokenizerFound } from '../probe/capability.ts';
import { probeHealth } from '../probe/health.ts';
import { judgeReuse } from '../probe/judgeReuse.ts';
import {
  askStepByStep,
  idsOfLength,
  leastPromptTokens,
  neverSentText,
  probeSize,
  tinySteps,
  failureOrThrow,
  type ProbeSize,
  type TinyAnswer,
  type TinyAnswers,
  type TinyStep,
} from '../probe/tinyRequests.ts';
import type { BlockStore } from './blocks/blockStore.ts';
import { readCanary } from './chat/completion.ts';
import { readConnectors } from './findings/connectors.ts';
import { remediesOf, type Remedies } from './findings/remedies.ts';
import type { ServerIdentity } from './serverIdentity.ts';
import type { ServerMetrics } from './metrics/serverMetrics.ts';
import { connectorSharing, filesOfTier, insightFound, persistenceFound } from './findings/tierFindings.ts';
import { tokenizeText } from './chat/tokenize.ts';
import { waitForBlocks } from './waitForKv.ts';
import type { Completion } from './wire.ts';

export interface Completed {
  readonly completion: Completion;
  readonly reuse: ReuseEvidence;
  /** What the request showed besides the server's events, where those should have named its blocks and did not; else null. */
  readonly withoutEvents: ReuseEvidence | null;
  readonly before: ServerMetrics | null;
  readonly after: ServerMetrics | null;
  /** What the test that was sent beside it showed ({@link claimsWhatCannotBe}); left out where none was. */
  readonly claims?: boolean | null;
}

export interface ProbeParts {
  readonly link: Link;
  readonly identity: ServerIdentity;
  readonly blocks: BlockStore;
  readonly timer: Timer;
  readonly elapsedMs: () => number;
  readonly sleep: Sleep;
  /**
   * One request to the model, sent once and given little time.
   *
   * @param keptTokens of these many tokens, from the first on, vLLM's tiers may store the KV. Default 0.
   */
  readonly complete: (context: KvContext, canary: boolean, keptTokens?: number) => Promise<Completed>;
  /** The same, for what the answer says alone: no counters are read around it. */
  readonly askUncounted: (context: KvContext) => Promise<Completion>;
}

export interface Probed {
  readonly capabilities: Capabilities;
  /** Whether nothing failed, so that the result holds until the server is another one. */
  readonly isComplete: boolean;
  /**
   * Whether it claimed reuse of a context that nobody had ever sent, so that none of its claims of reuse count; null when that was not
   * seen.
   */
  readonly claims: boolean | null;
  /** Whether its events named the blocks that a request reused; null where no events were read, or nothing was reused. */
  readonly announces: boolean | null;
}

/** Observations of the tiny requests besides reuse. */
interface Seen {
  first: Completed | null;
  last: Completed | null;
  /** Of the request that has two whole blocks of the one before it. */
  shorter: Completed | null;
  canary: Capability | null;
}

/**
 * Finds out the capabilities of a server of vLLM's kind, with at most four requests to the model: a new context; the same again; the same
 * without its last token; the same under another salt. Deletes the block files that they leave.
 *
 * @throws CwmError Cancelled; any other failure makes a capability `unknown`.
 */
export async function probeVllm(parts: ProbeParts, signal: AbortSignal): Promise<Probed> {
  const { link, identity, timer, elapsedMs } = parts;
  const { kind, model, blockTokens: toldBlockTokens } = identity.description;
  const startedMs = elapsedMs();
  const size = probeSize(toldBlockTokens, model.maxModelLen);
  const [connectors, ready, { tokenizer, tried, seen, reach, storesNothing }] = await Promise.all([
    kind === 'vllm' ? readConnectors(link, timer, signal) : null,
    probeHealth(link, signal),
    tryOut(parts, size, signal),
  ]);
  const metrics = seen.last?.after ?? null;
  const files = kind === 'vllm' ? filesOfTier(reach, metrics) : reach;
  const tier = {
    kind,
    connectors: connectors === 'late' ? null : connectors,
    metrics,
    whyUnseen: seen.last === null ? whyNotSeen(tried) : null,
    filesReachable: files.state === 'yes',
    whyNotStored: storesNothing ? files.found : null,
  };
  const remedies = remediesOf(kind);
  const judged = judgeReuse({
    tried,
    size,
    toldBlockTokens,
    cannotCut: kind === 'embedded' && identity.blockFiles !== 'rows',
    ...connectorSharing(tier),
    remedies,
  });
  const items = [
    ready,
    ...judged.items,
    tokenIds(seen, tried, remedies),
    seen.canary ?? capability('canary', 'unknown', whyNotSeen(tried)),
    tokenizer,
    insightFound(tier, remedies),
    persistenceFound(tier, remedies),
    files,
  ];
  const { requests, promptTokens } = tried;
  // Ask again after a late answer only where the answer matters.
  const isSettled =
    connectors !== 'late' || items.every(({ name, state }) => name !== 'isolation' || state !== 'unknown');
  return {
    capabilities: {
      items,
      blockTokens: judged.blockTokens,
      cost: { requests, promptTokens, ms: elapsedMs() - startedMs },
    },
    isComplete: tried.failure === null && isSettled && ready.state !== 'no' && tier.whyNotStored === null,
    claims: claimsOf(tried),
    announces: announcedIn(seen.shorter),
  };
}

function announcedIn(completed: Completed | null): boolean | null {
  if (completed === null) return null;
  if (completed.withoutEvents !== null) return false;
  const { cachedTokensFrom, cachedTokens } = completed.reuse;
  return cachedTokensFrom === 'events' && cachedTokens !== 0 ? true : null;
}

/**
 * Whether the server claims KV that nobody ever sent: of a prompt of two blocks and a token. Null when it does not answer, or counts another
 * prompt.
 *
 * @throws CwmError Cancelled.
 */
export async function claimsWhatCannotBe(parts: ProbeParts, signal: AbortSignal): Promise<boolean | null> {
  const ids = idsOfLength(claimTokens(parts.identity), []);
  const context = { ids, salt: randomSalt(), handle: null };
  try {
    const { usage } = await parts.askUncounted(context);
    // A count of another prompt says nothing about this one.
    if ((usage?.prompt_tokens ?? ids.length) !== ids.length) return null;
    return (usage?.prompt_tokens_details?.cached_tokens ?? 0) > 0;
  } catch (error) {
    failureOrThrow(error, signal);
    return null;
  } finally {
    await probeFiles(parts, ids, [context.salt], signal);
  }
}

/** Tokens in the prompt of {@link claimsWhatCannotBe}. */
export const claimTokens = ({ description: { blockTokens, model } }: ServerIdentity): number =>
  leastPromptTokens(blockTokens, model.maxModelLen);

/**
 * Whether the server's events name the blocks of a request that reused them: one is sent, and again with a token less, which no cache of
 * answers can know. Null when it does not answer.
 *
 * @throws CwmError Cancelled.
 */
export async function announcesReuse(parts: ProbeParts, signal: AbortSignal): Promise<boolean | null> {
  const { blockTokens, model } = parts.identity.description;
  const size = probeSize(blockTokens, model.maxModelLen);
  const [ids, salt] = [idsOfLength(size.promptTokens, []), randomSalt()];
  const seen: Seen = { first: null, last: null, shorter: null, canary: null };
  const ask = async (_: TinyStep, promptTokens: number): Promise<TinyAnswer> => {
    const context = { ids: ids.slice(0, promptTokens), salt, handle: null };
    return noteDown(await parts.complete(context, false), context, seen);
  };
  const { failure } = await askStepByStep(['fresh', 'shorter'], size, ask, signal);
  await probeFiles(parts, ids, [salt], signal);
  return failure === null && seen.last ? seen.last.withoutEvents === null : null;
}

/** How long a probe waits for the file of its first prompt, in milliseconds. */
const filePatienceMs = 10_000;

const claimsOf = ({ answers: { fresh } }: TinyAnswers): boolean | null => (fresh ? (fresh.told ?? 0) > 0 : null);

async function tryOut(parts: ProbeParts, size: ProbeSize, signal: AbortSignal) {
  const { link, identity } = parts;
  const text = neverSentText(size.promptTokens);
  const tokenize = () => tokenizeText(link, identity.description.model.id, text, signal, true);
  const { tokenizer, ids: given } = await tokenizerFound(tokenize, signal);
  const ids = idsOfLength(size.promptTokens, given);
  const [salt, otherSalt] = [randomSalt(), randomSalt()];
  const isWatched = identity.description.kind === 'vllm' && !size.isAssumed && ids.length > size.blockTokens;
  const told = isWatched ? await parts.blocks.blocksPerFile() : 'no-record';
  const blocksPerFile = typeof told === 'number' ? told : null;
  const fileTokens = (blocksPerFile ?? 1) * size.blockTokens;
  const firstFile = { ids: ids.slice(0, fileTokens), salt, handle: null };
  const place = isWatched && fileTokens < ids.length ? await parts.blocks.locate(firstFile, signal) : null;
  const isInSight = place?.reachable === true && place.blocks.length > 0;
  const seen: Seen = { first: null, last: null, shorter: null, canary: null };
  const ask = async (step: TinyStep, promptTokens: number): Promise<TinyAnswer> => {
    const context = { ids: ids.slice(0, promptTokens), salt: step === 'otherSalt' ? otherSalt : salt, handle: null };
    if (step === 'shorter') return askWithCanary(parts, context, seen, signal);
    const keptTokens = isInSight && step === 'fresh' ? fileTokens : 0;
    return noteDown(await parts.complete(context, false, keptTokens), context, seen);
  };
  const tried = await askStepByStep(tinySteps, size, ask, signal);
  const isAwaited = isInSight && tried.failure === null && seen.last?.after?.offloads === true;
  // The requests behind the first one were steps of the engine, which it needs to write the file.
  const waiting = { sleep: parts.sleep, patienceMs: filePatienceMs, nudge: () => Promise.resolve() };
  if (isAwaited) await waitForBlocks(parts.blocks, firstFile, waiting, signal);
  const isExpected = isAwaited || (identity.description.kind === 'embedded' && seen.last !== null);
  const { reach, written } = await probeFiles(parts, ids, [salt, otherSalt], signal);
  const found = { tokenizer, tried, seen, reach, storesNothing: false };
  if (reach.state !== 'yes' || written > 0) return found;
  if (isWatched && blocksPerFile !== null && fileTokens >= ids.length)
    return { ...found, reach: capability('block-files', 'unknown', notTried(blocksPerFile)) };
  if (!isExpected) return found;
  if (isWatched && blocksPerFile === null)
    return {
      ...found,
      reach:
        told === 'unclear'
          ? capability('block-files', 'unknown', unclearRecord, unclearRecordRemedy)
          : capability('block-files', 'unknown', noRecord, noRecordRemedy),
    };
  // An existing folder may have become read-only, or full.
  const where = identity.blockDir ?? 'the folder of its tier';
  const nothing = `The server stored nothing of a test prompt in ${where}.`;
  const remedy = 'Check that the folder can be written and that its disk has room.';
  return { ...found, reach: capability('block-files', 'no', nothing, remedy), storesNothing: true };
}

const notTried = (blocksPerFile: number): string =>
  `A file of its tier takes ${blocksPerFile} blocks, which is more than a test prompt has, so whether the server writes any was not tried.`;

const noRecord =
  'No file of a test prompt appeared in the folder of its tier. vLLM leaves a config.json there when it starts, and none was found for this model, so how many blocks a file takes is not known: it may be more than the prompt has.';

const unclearRecord =
  "No file of a test prompt appeared in the folder of its tier. vLLM's records there (config.json) do not say how many blocks a file takes, or do not agree: it may be more than the prompt has.";

const unclearRecordRemedy =
  'Give each server a root_dir of its own, or delete the folders of servers that no longer run.';

const noRecordRemedy = 'Check that the folder is the root_dir of its file tier.';

function noteDown(completed: Completed, context: KvContext, seen: Seen): TinyAnswer {
  seen.first ??= completed;
  seen.last = completed;
  return {
    sentTokens: context.ids.length,
    told: completed.completion.usage?.prompt_tokens_details?.cached_tokens ?? null,
    cached: completed.reuse.cachedTokens,
  };
}

/** A server that refuses log-probabilities may still take everything else. */
async function askWithCanary(
  parts: ProbeParts,
  context: KvContext,
  seen: Seen,
  signal: AbortSignal,
): Promise<TinyAnswer> {
  const { label, description } = parts.identity;
  const remedy = remediesOf(description.kind).canary;
  try {
    const completed = await parts.complete(context, true);
    seen.shorter = completed;
    seen.canary = canaryFound(() => readCanary(completed.completion, label), { ...canaryWords, remedy }, signal);
    return noteDown(completed, context, seen);
  } catch (error) {
    const failure = failureOrThrow(error, signal);
    const isRefused = failure.name === 'EngineRejected' && failure.context?.['status'] !== undefined;
    if (!isRefused) throw error;
    seen.canary = capability('canary', 'no', failure.message, remedy);
    return { sentTokens: context.ids.length, told: null, cached: null };
  }
}

const canaryWords = {
  yes: 'A changed content shows in them, also where block files are out of reach.',
  no: 'Other content under the right names is noticed only where block files can be checked.',
};

function tokenIds({ first }: Seen, tried: TinyAnswers, remedies: Remedies): Capability {
  const choice = first?.completion.choices[0];
  if (!choice) return capability('token-ids', 'unknown', whyNotSeen(tried));
  return choice.token_ids && choice.prompt_token_ids
    ? capability('token-ids', 'yes', 'Answers carry the ids of prompt and answer.')
    : capability(
        'token-ids',
        'no',
        'Ids have to be worked out from the text, which may give others.',
        remedies.tokenIds,
      );
}

const whyNotSeen = ({ failure }: TinyAnswers): string => failure?.message ?? 'It was not asked.';

/** Whether block files can be reached, and how many of the probe's own there were: none are left. */
async function probeFiles(
  { blocks, identity }: ProbeParts,
  ids: readonly number[],
  salts: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly reach: Capability; readonly written: number }> {
  const remedies = remediesOf(identity.description.kind);
  let written = 0;
  try {
    for (const salt of salts) {
      const location = await blocks.locate({ ids, salt, handle: null }, signal);
      if (!location.reachable)
        return { reach: capability('block-files', 'no', location.why, remedies.blockFiles), written };
      const left = location.blocks.filter(({ stat }) => stat !== null).map(({ hash }) => hash);
      await blocks.forget(left, signal);
      written += left.length;
    }
    const found = 'Each block can be found, checked and deleted as a file.';
    return { reach: capability('block-files', 'yes', found), written };
  } catch (error) {
    return { reach: capability('block-files', 'unknown', failureOrThrow(error, signal).message), written };
  }
}
