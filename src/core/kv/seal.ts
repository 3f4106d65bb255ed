import type { BlockRecord, KvRecord } from '../../protocol/schemas/window.ts';
import { bytesWritten, countRead, isSameFile, recordBlocks, totalBytes } from '../evidence/blocks.ts';
import { askForNoise, type NoiseSample } from '../evidence/askForNoise.ts';
import { canaryDifference, grossDifference } from '../evidence/canary.ts';
import type { Progress } from '../ports/reporter.ts';
import { mostLostTokens, mostReusable, mostReusableNotes, restoredNotes, reuseFloor } from '../evidence/reuse.ts';
import { measure } from '../evidence/measure.ts';
import {
  farMs,
  type BlockLocation,
  type Engine,
  type EngineDescription,
  type KvContext,
  type Measurement,
  type PersistEvidence,
} from '../ports/engine.ts';
import { askOverPrefixes } from '../evidence/prefixCanaries.ts';

/** KV that an engine stored on request, and the evidence for it. */
export interface Sealed {
  readonly kv: KvRecord;
  /** The last of the canary requests: served from cache, if the engine caches at all. */
  readonly measured: Measurement;
  /** Of the request that made the engine store the context, the first of the seal; null: not known. */
  readonly reusedAtFirst: number | null;
  /** The largest difference between two of the canaries, in nats; null without canaries. */
  readonly canaryNoise: number | null;
  /** Full blocks of the context whose file did not appear. */
  readonly blocksMissing: number;
  /** Files that were read; the others are as an earlier seal recorded them. */
  readonly blocksHashed: number;
  readonly blocksUnreachable: string | null;
  readonly kvBytesWritten: number | null;
  readonly notes: readonly string[];
}

export interface SealRequest {
  readonly engine: Engine;
  readonly description: EngineDescription;
  readonly context: KvContext;
  readonly saltGeneration: number;
  /** The record of an earlier seal: files that have not changed since are not read again. */
  readonly known: KvRecord | null;
  /** The record that this one replaces, if any: its facts about the engine need no second request. */
  readonly replaced?: KvRecord;
  /**
   * Nobody waits for it, and it should cost little: where the checksums of every block are recorded and the server has just reused all that it
   * can, it asks for no canary; else for one, where the earlier seal saw no noise. Default: only the last, where the server takes long to answer.
   */
  readonly isUnasked?: boolean;
  readonly progress: Progress;
  /** Runs once the existing blocks are known, before any write. An error from it ends the seal. */
  readonly onLocated: (located: BlockLocation) => Promise<void>;
}

const farNote =
  'The model server takes long to answer anything, so no canaries over beginnings of the context were asked. Freeze it again to have them.';

/** Whether an earlier seal saw the same engine give the same answer each time. */
const isWithoutNoise = ({ replaced, description }: SealRequest): boolean =>
  replaced !== undefined &&
  replaced.canary !== null &&
  replaced.engineKind === description.kind &&
  replaced.engineVersion === description.version &&
  canaryDifference(...replaced.canary) === 0;

/**
 * The seal: makes the engine store every full block of a context (engines do not store generated tokens by themselves), asks for the
 * canary twice or more, and records the block files where this machine can read them, else canaries over beginnings. An abort leaves
 * blocks behind, which are only cache.
 */
export async function seal(request: SealRequest, signal: AbortSignal): Promise<Sealed> {
  const { engine, description, saltGeneration, known, progress } = request;
  progress('Sealing the context');
  const before = await engine.locate(request.context, signal);
  await request.onLocated(before);
  const stored = request.isUnasked ? upToLastBlock(request, before) : request.context;
  const isTooFar = request.replaced !== undefined && (description.roundTripMs ?? 0) >= farMs;
  const fewest = (isTooFar || request.isUnasked) && isWithoutNoise(request) ? 1 : 2;
  const { persisted, context, early, canaryTokens, asked } = await storeAndAsk(
    request,
    { before, stored, fewest },
    signal,
  );
  const { last: measured, pair, noise, isBusy } = asked;
  progress('Recording the blocks');
  const { after, blocks } = early ?? (await record(request, context, signal));

  const notes = [...persisted.notes];
  const isTaken = isTakenMeanwhile(persisted, asked);
  if (isTaken) notes.push(takenNote);
  const steady = noise !== null && noise <= grossDifference;
  if (noise !== null && !steady) {
    notes.push('The engine answers the same request differently each time, so the canary can prove nothing here.');
  }
  // Where an engine stores a context as a whole, under its handle, a request over a beginning would drop the rest.
  const isKeptByTokens = persisted.handle === null || persisted.keptTokens !== undefined;
  const isWanted = steady && isKeptByTokens && blocks.length === 0;
  if (isWanted && isTooFar) notes.push(farNote);
  const prefixCanaries =
    isWanted && !isTooFar
      ? await askOverPrefixes(engine, { ...context, blockTokens: description.blockTokens }, signal)
      : [];
  const most = isKeptByTokens ? undefined : fewestReusable(measured, persisted, description);
  notes.push(...mostReusableNotes(most, context.ids.length), ...restoredNotes(persisted.restored));
  const blocksMissing = after.reachable ? after.blocks.length - blocks.length : 0;
  return {
    kv: {
      saltGeneration,
      engineKind: description.kind,
      engineVersion: description.version,
      blockTokens: description.blockTokens,
      hashProfile: description.hashProfile,
      ...(canaryTokens !== undefined && { canaryTokens }),
      ...(most !== undefined && { mostReusable: most }),
      // Where the files can be read instead, a canary that other users' requests have changed needs no comparison bit for bit.
      canaryIsExact: !isTaken && (!isBusy || blocks.length === 0),
      prefixCanaries,
      canary: steady ? pair : null,
      handle: persisted.handle,
      kvBytes: after.reachable ? totalBytes(blocks) : null,
      blocks,
    },
    measured,
    reusedAtFirst: persisted.reuse.cachedTokens,
    canaryNoise: steady ? noise : null,
    blocksMissing,
    blocksHashed: countRead(blocks, known?.blocks ?? []),
    blocksUnreachable: after.reachable ? null : after.why,
    kvBytesWritten: bytesWritten(before, after),
    notes,
  };
}

/** How often a context is stored again that another program pushed out of the server's memory before the canary was asked. */
const mostStores = 3;

const takenNote =
  'Another program used the slot while the freeze asked about it, so some of the context was computed again. Its answers say less: the canary is compared allowing for rounding.';

/**
 * Whether another program pushed the context out of a slot, which the engine stores as a whole, before or between the canaries: they reused
 * different numbers of tokens, or fewer than the request that stored the context.
 */
const isTakenMeanwhile = (
  { handle, keptTokens, reuse }: PersistEvidence,
  { isUneven, last }: Pick<NoiseSample, 'isUneven' | 'last'>,
): boolean =>
  handle !== null &&
  keptTokens === undefined &&
  (isUneven || (last.reuse.cachedTokens ?? Infinity) < (reuse.cachedTokens ?? 0) - mostLostTokens);

interface Stored {
  readonly persisted: PersistEvidence;
  /** With the handle of what was stored. */
  readonly context: KvContext;
  /** The record, where no canary had to be asked. */
  readonly early: Recorded | null;
  readonly canaryTokens: number | undefined;
  readonly asked: NoiseSample;
}

/**
 * Has the engine store the context, and asks the canary. Does both again where another program took the slot meanwhile: the canary may then rest
 * on other KV than the file has.
 */
async function storeAndAsk(
  request: SealRequest,
  { before, stored, fewest }: { readonly before: BlockLocation; readonly stored: KvContext; readonly fewest: number },
  signal: AbortSignal,
): Promise<Stored> {
  const { engine, progress } = request;
  for (let stores = 1; ; stores++) {
    const persisted = await engine.persist(stored, signal);
    const context = { ...request.context, handle: persisted.handle };
    const early = request.isUnasked ? await recordIfProven(request, before, persisted, signal) : null;
    progress('Asking the canary');
    // One token more, since an engine always computes the last one.
    const beyondKept = (persisted.keptTokens || Infinity) + 1;
    const canaryTokens = beyondKept < context.ids.length ? beyondKept : undefined;
    const askCanary = (isFollowed: boolean) => measure(engine, context, canaryTokens, signal, isFollowed);
    const asked = early
      ? { last: { reuse: persisted.reuse, canary: null }, pair: null, noise: null, isBusy: false, isUneven: false }
      : await askForNoise(askCanary, fewest, answerOverReused(request, persisted));
    if (stores === mostStores || !isTakenMeanwhile(persisted, asked))
      return { persisted, context, early, canaryTokens, asked };
  }
}

/**
 * The answer of the request that stored the context, where it computed nothing that a canary's does not compute, too: then it is one of them. An
 * unasked seal may have asked about less than the context.
 */
function answerOverReused(
  { description: { blockTokens }, isUnasked }: SealRequest,
  { reuse, canary, keptTokens }: PersistEvidence,
): Measurement | null {
  if (!canary || isUnasked || keptTokens !== undefined || blockTokens === null) return null;
  const { promptTokens, cachedTokens } = reuse;
  if (cachedTokens === null || cachedTokens >= promptTokens) return null;
  return cachedTokens >= reuseFloor(promptTokens, blockTokens) ? { reuse, canary } : null;
}

/**
 * The context without what stands behind its last full block, but for one token: that is never stored, and would be computed for nothing. All
 * of it where a model's state cannot be cut at a token, as blocks with a state beside them show.
 */
function upToLastBlock({ context, description: { blockTokens } }: SealRequest, before: BlockLocation): KvContext {
  const stats = before.reachable ? before.blocks.flatMap(({ stat }) => stat ?? []) : [];
  if (blockTokens === null || stats.length === 0 || stats.some(({ besideBytes = 0 }) => besideBytes > 0))
    return context;
  const { length } = context.ids;
  return { ...context, ids: context.ids.slice(0, length - (length % blockTokens) + 1) };
}

interface Recorded {
  readonly after: BlockLocation;
  readonly blocks: BlockRecord[];
}

async function record({ engine, known }: SealRequest, context: KvContext, signal: AbortSignal): Promise<Recorded> {
  const after = await engine.locate(context, signal);
  const blocks = after.reachable ? await recordBlocks(engine, after.blocks, known?.blocks ?? [], signal) : [];
  return { after, blocks };
}

/**
 * Null unless checksums are recorded of every block as it was written, and the request that made the server store them reused all that it can. A
 * file that an earlier turn wrote may have gone bad since, while the server answers from its memory: what it has now is no measure.
 */
async function recordIfProven(
  request: SealRequest,
  before: BlockLocation,
  { reuse, handle, isTested }: PersistEvidence,
  signal: AbortSignal,
): Promise<Recorded | null> {
  const { blockTokens } = request.description;
  const { promptTokens, cachedTokens, isFromElsewhere, isUnannounced } = reuse;
  if (!isTested || handle !== null || blockTokens === null || cachedTokens === null) return null;
  if (isFromElsewhere || isUnannounced) return null;
  const floor = reuseFloor(promptTokens, blockTokens);
  if (floor === 0 || cachedTokens < floor || cachedTokens > promptTokens) return null;
  const recorded = await record(request, request.context, signal);
  const isWhole = recorded.after.reachable && recorded.blocks.length === recorded.after.blocks.length;
  if (!isWhole) return null;
  return request.description.kind === 'embedded' || areAsWritten(request, before, recorded.blocks) ? recorded : null;
}

/** Whether each file was recorded before, or is one that this seal wrote. The embedded engine states what it wrote; no other one does. */
function areAsWritten({ known }: SealRequest, before: BlockLocation, blocks: readonly BlockRecord[]): boolean {
  const statBefore = new Map(before.reachable ? before.blocks.map(({ hash, stat }) => [hash, stat]) : []);
  const isOfBefore = (block: BlockRecord): boolean => {
    const stat = statBefore.get(block.hash);
    return stat ? isSameFile(stat, block) : false;
  };
  return countRead(blocks.filter(isOfBefore), known?.blocks ?? []) === 0;
}

/** A cache with a sliding window loses some of the last tokens in memory, and more of them when it is read back from a file. */
function fewestReusable(
  { reuse }: Measurement,
  { restored }: PersistEvidence,
  { blockTokens }: EngineDescription,
): number | undefined {
  const shown = [reuse, ...(restored ? [restored] : [])].flatMap((seen) => mostReusable(seen, blockTokens) ?? []);
  return shown.length === 0 ? undefined : Math.min(...shown);
}
