import { randomSalt } from '../base/hash.ts';
import { CwmError } from '../protocol/errors.ts';
import type { LineageId, WindowName } from '../protocol/ids.ts';
import type { ContentChecks, Repair, Verdict } from '../protocol/receipt.ts';
import type { KvRecord, WindowManifest } from '../protocol/window.ts';
import { checkBlocks, totalBytes, type BlockCheck } from './blocks.ts';
import { canaryDifference, isBeyondNoise } from './canary.ts';
import type { Progress } from './changes.ts';
import type { CoreContext } from './context.ts';
import { saltOf } from './lineage.ts';
import type { Engine, EngineDescription, KvContext, Measurement } from './ports/engine.ts';
import type { Lineage } from './ports/store.ts';
import { uncheckedContent } from './receipts.ts';
import { seal } from './seal.ts';
import { decideVerdict } from './verdict.ts';

/** What bringing a window's KV back came to. */
export interface Warmed {
  readonly verdict: Verdict;
  readonly measured: Measurement;
  readonly content: ContentChecks;
  readonly repair: Repair;
  readonly kv: KvRecord;
  readonly kvBytesWritten: number | null;
  readonly notes: readonly string[];
}

export interface WarmRequest {
  readonly engine: Engine;
  readonly description: EngineDescription;
  readonly manifest: WindowManifest;
  readonly ids: readonly number[];
  readonly kv: KvRecord;
  readonly progress: Progress;
}

/**
 * Brings the KV of a window back and proves what came back: looks at the block files before any request, deletes the bad
 * ones, sends the frozen canary's request again, and compares. What had to be recomputed is recorded anew, so that the
 * next thaw is held against KV that exists. Only KV and its record change; an abort leaves the text untouched.
 */
export async function warm(core: CoreContext, request: WarmRequest, signal: AbortSignal): Promise<Warmed> {
  const { engine, description, manifest, ids, kv, progress } = request;
  const lineage = await core.store.getLineage(manifest.lineage as LineageId);
  const context: KvContext = { ids, salt: saltOf(lineage), handle: kv.handle };
  const isSameGeneration = lineage.generation === kv.saltGeneration;

  progress('Checking the blocks');
  const check = isSameGeneration ? await checkAndCleanBlocks(engine, context, kv, signal) : null;
  progress('Restoring');
  const restored = await engine.restore(context, signal);
  progress('Measuring');
  const first = await measureUnlessPoisoned(engine, context, signal);
  if (first) core.prefill.observe(engine.spec, first.reuse);

  const canary =
    first && isSameGeneration ? await compareCanary(engine, context, kv, first, description, signal) : null;
  const damaged = first === null || canary?.result === 'disagreed';
  const observed = damaged ? await rebuildUnderNextSalt(core, request, lineage, signal) : first;
  const verdict = damaged
    ? 'damaged'
    : decideVerdict({
        reachable: true,
        sameIdentity: true,
        promptTokens: first.reuse.promptTokens,
        cachedTokens: first.reuse.cachedTokens,
        blockTokens: description.blockTokens,
        reusedChecksums: check && check.damaged.length === 0 && check.checked > 0 ? 'agreed' : 'not-run',
        canary: canary?.result ?? 'not-run',
      });

  const renewed = await renewRecord(core, { ...request, verdict, isSameGeneration, check }, signal);
  return {
    verdict,
    measured: observed,
    content: contentChecks(check, canary, kv, renewed.unreachableWhy),
    repair: damaged ? 'salt-advanced' : check && check.damaged.length > 0 ? 'blocks-deleted' : 'none',
    kv: renewed.kv,
    kvBytesWritten: renewed.kvBytesWritten,
    notes: [...restored.notes, ...renewed.notes, ...damageNotes(check, first)],
  };
}

/** Checks the recorded blocks; bad ones are deleted, so that the engine recomputes from there. Null when they can't be seen. */
async function checkAndCleanBlocks(
  engine: Engine,
  context: KvContext,
  kv: KvRecord,
  signal: AbortSignal,
): Promise<BlockCheck | null> {
  if (kv.blocks.length === 0) return null;
  const location = await engine.locate(context, signal);
  if (!location.reachable) return null;
  const check = await checkBlocks(engine, location.blocks, kv.blocks, { readAll: false }, signal);
  if (check.damaged.length > 0) await engine.forget({ hashes: check.damaged, handle: null }, signal);
  return check;
}

/**
 * Null when the engine fails over KV that it has: a block of noise makes it answer 500 for as long as the block is there.
 * An engine that fails on a fresh prompt as well is simply failing, and its error is passed on.
 */
async function measureUnlessPoisoned(
  engine: Engine,
  context: KvContext,
  signal: AbortSignal,
): Promise<Measurement | null> {
  try {
    return await engine.measure(context, signal);
  } catch (error) {
    if (!(error instanceof CwmError) || error.code !== 'CWM-5004') throw error;
    await engine.measure({ ids: context.ids.slice(0, 8), salt: randomSalt(), handle: null }, signal).catch(() => {
      throw error;
    });
    return null;
  }
}

interface CanaryCheck {
  readonly result: 'agreed' | 'disagreed' | 'not-run';
  readonly difference: number | null;
  readonly noise: number | null;
  readonly why: string | null;
}

/**
 * Holds the measured canary against the frozen one. Only KV that was reused as a whole can be compared: recomputed KV
 * differs in its last bits by right. A disagreement is looked at twice before it counts.
 */
async function compareCanary(
  engine: Engine,
  context: KvContext,
  kv: KvRecord,
  first: Measurement,
  description: EngineDescription,
  signal: AbortSignal,
): Promise<CanaryCheck> {
  if (!kv.canary) return notCompared('The engine gave no log-probabilities when the window was frozen.');
  if (!first.canary) return notCompared('The engine gives no log-probabilities.');
  const reused = decideVerdict({
    reachable: true,
    sameIdentity: true,
    ...first.reuse,
    blockTokens: description.blockTokens,
    reusedChecksums: 'not-run',
    canary: 'not-run',
  });
  if (reused === 'rebuilt' || reused === 'partial') {
    return notCompared('Recomputed KV differs from the frozen one in its last bits, so there was nothing to compare.');
  }
  const frozen = kv.canary[1];
  const frozenNoise = canaryDifference(...kv.canary);
  const difference = canaryDifference(frozen, first.canary);
  if (!isBeyondNoise(difference, frozenNoise)) return { result: 'agreed', difference, noise: frozenNoise, why: null };

  const second = await measureUnlessPoisoned(engine, context, signal);
  if (!second?.canary) return { result: 'disagreed', difference, noise: frozenNoise, why: null };
  const noise = Math.max(frozenNoise, finiteOrZero(canaryDifference(first.canary, second.canary)));
  const least = Math.min(difference, canaryDifference(frozen, second.canary));
  return { result: isBeyondNoise(least, noise) ? 'disagreed' : 'agreed', difference: least, noise, why: null };
}

const notCompared = (why: string): CanaryCheck => ({ result: 'not-run', difference: null, noise: null, why });

const finiteOrZero = (value: number): number => (Number.isFinite(value) ? value : 0);

/** No request can reach what was computed under the old salt; the context is computed again under the next one. */
async function rebuildUnderNextSalt(
  core: CoreContext,
  { engine, ids, manifest, kv, progress }: WarmRequest,
  lineage: Lineage,
  signal: AbortSignal,
): Promise<Measurement> {
  progress('Rebuilding from the token ids');
  const next = await core.store.advanceLineage(manifest.lineage as LineageId, lineage.generation);
  await engine.forget({ hashes: kv.blocks.map((block) => block.hash), handle: kv.handle }, signal);
  return engine.measure({ ids, salt: saltOf(next), handle: null }, signal);
}

interface Renewal {
  readonly kv: KvRecord;
  readonly kvBytesWritten: number | null;
  readonly unreachableWhy: string | null;
  readonly notes: readonly string[];
}

/** After anything was recomputed, the window's KV record is made anew; otherwise only stat fields may have moved. */
async function renewRecord(
  core: CoreContext,
  request: WarmRequest & { verdict: Verdict; isSameGeneration: boolean; check: BlockCheck | null },
  signal: AbortSignal,
): Promise<Renewal> {
  const { engine, description, manifest, ids, kv, verdict, isSameGeneration, check, progress } = request;
  const name = manifest.name as WindowName;
  const isWhole =
    verdict === 'proven' && isSameGeneration && (check === null || check.whole.length === kv.blocks.length);
  if (isWhole || verdict === 'unobserved') {
    if (check && check.hashed > 0) {
      const blocks = [...check.whole];
      await core.store.replaceWindowKv(name, { ...kv, blocks, kvBytes: totalBytes(blocks) });
    }
    return { kv, kvBytesWritten: 0, unreachableWhy: null, notes: [] };
  }
  const lineage = await core.store.getLineage(manifest.lineage as LineageId);
  const sealed = await seal(
    {
      engine,
      description,
      context: { ids, salt: saltOf(lineage), handle: null },
      saltGeneration: lineage.generation,
      known: { ...kv, blocks: [...(check?.whole ?? [])] },
      progress,
    },
    signal,
  );
  await core.store.replaceWindowKv(name, sealed.kv);
  return {
    kv: sealed.kv,
    kvBytesWritten: sealed.kvBytesWritten,
    unreachableWhy: sealed.blocksUnreachable,
    notes: sealed.notes,
  };
}

function contentChecks(
  check: BlockCheck | null,
  canary: CanaryCheck | null,
  kv: KvRecord,
  unreachableWhy: string | null,
): ContentChecks {
  const noFiles = kv.blocks.length === 0 ? 'The block files were out of reach when the window was frozen.' : null;
  const base = uncheckedContent('');
  return {
    ...base,
    ...(check && {
      checksums: check.damaged.length > 0 ? 'disagreed' : 'agreed',
      blocksChecked: check.checked,
      blocksHashed: check.hashed,
      blocksDamaged: check.damaged.length,
      blocksMissing: check.missing.length,
    }),
    ...(canary && { canary: canary.result, canaryDifference: canary.difference, canaryNoise: canary.noise }),
    why:
      [check ? null : (unreachableWhy ?? noFiles), canary?.why ?? null].filter((why) => why !== null).join(' ') || null,
  };
}

function damageNotes(check: BlockCheck | null, first: Measurement | null): string[] {
  const notes: string[] = [];
  if (check && check.damaged.length > 0) {
    notes.push(`${check.damaged.length} damaged block files were found and deleted before the engine could use them.`);
  }
  if (first === null) notes.push('The engine failed over the KV it had stored, so that KV was given up.');
  return notes;
}
