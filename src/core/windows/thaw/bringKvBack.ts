import { unlessAborted } from '../../../base/unlessAborted.ts';
import { isCwmError, isEngineFailure, toCwmError, type CwmError } from '../../../protocol/errors.ts';
import type { NextMessage, Verdict } from '../../../protocol/schemas/receipt.ts';
import type { Message } from '../../../protocol/schemas/session.ts';
import type { KvRecord, WindowManifest } from '../../../protocol/schemas/window.ts';
import type { Progress } from '../../ports/reporter.ts';
import type { CoreContext } from '../../context.ts';
import { uncheckedContent } from '../../evidence/contentChecks.ts';
import type { FrozenContext, KvRecordPlace } from '../../evidence/frozenContext.ts';
import { mostReusableNotes } from '../../evidence/reuse.ts';
import { decideVerdict, type VerdictEvidence } from '../../evidence/verdict.ts';
import { modelDifference } from '../../identity.ts';
import { describeTried } from '../../kv/describeTried.ts';
import { warmText } from '../../kv/textContext.ts';
import { warm, type Warmed } from '../../kv/warm.ts';
import type { Engine, EngineDescription } from '../../ports/engine.ts';
import { promptText } from '../../session.ts';
import type { Hold } from '../../space/blocksInUse.ts';
import { nextMessageNotes, weighNextMessage } from '../../prompt/nextMessage.ts';
import { engineFields, reuseFields, reuseNotes, type Outcome } from '../receipts.ts';
import { restoreLeft } from './restoreLeft.ts';

export interface KvRequest {
  readonly engine: Engine;
  readonly manifest: WindowManifest;
  /** Of the window, none of them lost. */
  readonly messages: readonly Message[];
  readonly ids: readonly number[];
  readonly kv: KvRecord;
  readonly record: KvRecordPlace;
  readonly progress: Progress;
  readonly hold: Hold;
  /** A prompt follows, which shows what is reused. Default: nobody knows. */
  readonly isFollowed?: boolean;
  /** What {@link describeSoon} found or will find; null or left out: nothing has been asked. */
  readonly asked?: Promise<EngineDescription> | null;
}

type DescribedRequest = KvRequest & Pick<FrozenContext, 'description' | 'slot'>;

/**
 * Brings a window's KV back, as far as the engine lets it. Whatever the engine does, be it gone, broken, another one, or too small now,
 * is a result with its reason, never an error: the text opens without it.
 */
export async function bringKvBack(core: CoreContext, request: KvRequest, signal: AbortSignal): Promise<Outcome> {
  let description: EngineDescription | null = null;
  try {
    request.progress('Asking the engine');
    description = await unlessAborted(request.asked ?? describe(request.engine, request.kv, signal), signal);
    const difference = modelDifference(request.manifest.model, description.model);
    if (difference !== null) return otherModel(request, description, `The KV was left alone, because ${difference}.`);
    const slot = core.holders.slotOf(request.manifest.engine, request.manifest.session);
    return await outcomeOfWarming(core, { ...request, description, slot }, signal);
  } catch (error) {
    signal.throwIfAborted();
    const failure = toCwmError(error);
    if (!isOfKv(failure)) throw error;
    const reason = `${failure.message} ${failure.hint} (${failure.code})`;
    if (failure.name === 'ModelMismatch') return otherModel(request, description, reason);
    const why = failure.name === 'EngineUnavailable' ? 'No engine answered.' : 'The engine failed or refused.';
    return withoutKv({ kind: 'no-answer' }, request, { why, description, notes: [reason] });
  }
}

/** Asks the engine what it is, and before that tells it what it will be asked to load. */
function describe(
  engine: Engine,
  { blocks }: Pick<KvRecord, 'blocks'>,
  signal: AbortSignal,
): Promise<EngineDescription> {
  engine.expect?.(blocks.map(({ hash }) => hash));
  return describeTried(engine, signal);
}

/** Asks it for a {@link bringKvBack} that will come, beside what else is to be read for it. */
export async function describeSoon(
  core: CoreContext,
  engineSpec: string,
  record: Promise<Pick<KvRecord, 'blocks'>>,
  signal: AbortSignal,
): Promise<EngineDescription> {
  const kv = await record.catch(() => ({ blocks: [] }));
  return describe(core.engines.get(engineSpec), kv, signal);
}

/** The engine failed, or the files of its KV cannot be used. */
const isOfKv = (failure: CwmError): boolean =>
  isEngineFailure(failure) ||
  isCwmError(failure, 'ContextTooLong', 'ReadFailed', 'WriteFailed', 'AccessDenied', 'StorageFull');

async function outcomeOfWarming(core: CoreContext, request: DescribedRequest, signal: AbortSignal): Promise<Outcome> {
  const { description, ids } = request;
  const restored = request.isFollowed ? await restoreLeft(core, request, signal) : null;
  if (restored) return restored;
  const { warmed, nextMessage } = await warmAndWeigh(core, request, signal);
  return {
    verdict: warmed.verdict,
    tier: warmed.measured.reuse.tier,
    tokens: ids.length,
    ...reuseFields(warmed.measured.reuse, description.blockTokens, request.kv.mostReusable),
    content: warmed.content,
    repair: warmed.repair,
    kvBytes: warmed.kv.kvBytes,
    kvBytesWritten: warmed.kvBytesWritten,
    engine: engineFields(description),
    ...(nextMessage && { nextMessage }),
    notes: [
      // A seal says it, too.
      ...new Set([...warmed.notes, ...mostReusableNotes(warmed.kv.mostReusable, ids.length)]),
      ...nextMessageNotes(nextMessage),
      ...reuseNotes(warmed.measured.reuse),
      ...description.notices,
    ],
  };
}

/** An engine that reused a context will reuse it again. An engine that reused nothing gives no figure. */
const reusing: readonly Verdict[] = ['proven', 'reused', 'partial'];

/**
 * Loads the KV, and plans the next message beside it: that takes no slot and no KV, only answers to questions about text, so it need not take
 * time of its own.
 */
async function warmAndWeigh(
  core: CoreContext,
  request: DescribedRequest,
  signal: AbortSignal,
): Promise<{ readonly warmed: Warmed; readonly nextMessage: NextMessage | null }> {
  if (request.ids.length === 0) return { warmed: await warmText(core, request, signal), nextMessage: null };
  const unneeded = new AbortController();
  // First, so that its requests leave first.
  const warming = warm(core, request, signal);
  const weighing = weighNext(core, request, AbortSignal.any([signal, unneeded.signal]));
  // Where the KV cannot be loaded, nobody asks what became of it.
  weighing.catch(() => undefined);
  try {
    const warmed = await warming;
    return { warmed, nextMessage: reusing.includes(warmed.verdict) ? await weighing : null };
  } finally {
    unneeded.abort();
    await weighing.catch(() => undefined);
  }
}

/** Only the user's information: nothing that goes wrong with it costs the thaw. */
async function weighNext(
  core: CoreContext,
  { engine, manifest, messages, ids, description }: DescribedRequest,
  signal: AbortSignal,
): Promise<NextMessage | null> {
  try {
    const old = await core.memories.shown(manifest.session, messages, manifest.tokens);
    const frozen = { system: promptText(manifest), ids, tokens: manifest.tokens, old, covered: messages.length };
    return await weighNextMessage(engine, description, frozen, core.continueFrom, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (!isCwmError(error)) throw error;
    return null;
  }
}

const otherModel = (request: KvRequest, description: EngineDescription | null, note: string): Outcome =>
  withoutKv({ kind: 'another-model' }, request, { why: 'Another model is served.', description, notes: [note] });

interface Reason {
  /** Why no content check ran. */
  readonly why: string;
  readonly description: EngineDescription | null;
  readonly notes: string[];
}

/** What a thaw comes to that used no KV. */
export const withoutKv = (
  evidence: VerdictEvidence,
  { ids, kv }: { readonly ids: readonly number[]; readonly kv: Pick<KvRecord, 'blockTokens' | 'kvBytes'> },
  { why, description, notes }: Reason,
): Outcome => ({
  verdict: decideVerdict(evidence),
  tier: null,
  tokens: ids.length,
  ...reuseFields(null, kv.blockTokens),
  content: uncheckedContent(why),
  repair: 'none',
  kvBytes: kv.kvBytes,
  kvBytesWritten: 0,
  engine: description && engineFields(description),
  notes,
});
