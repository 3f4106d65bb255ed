import { randomId } from '../../base/hash.ts';
import type { RouteInput } from '../../protocol/api.ts';
import { CwmError, isCwmError, toCwmError } from '../../protocol/errors.ts';
import {
  maxSessionIdLength,
  parseSessionId,
  parseWindowName,
  type SessionId,
  type WindowName,
} from '../../protocol/ids.ts';
import type { Receipt } from '../../protocol/schemas/receipt.ts';
import { newSession, type Session } from '../../protocol/schemas/session.ts';
import type { KvRecord, WindowManifest } from '../../protocol/schemas/window.ts';
import type { Progress, Reporter } from '../reporter.ts';
import type { CoreContext } from '../context.ts';
import { describeTried } from '../kv/describeTried.ts';
import { keepReceipt } from './keepReceipt.ts';
import { modelDifference, requireSameModel } from '../identity.ts';
import { moveLifecycle } from '../lifecycle.ts';
import type { Engine, EngineDescription } from '../ports/engine.ts';
import { engineFields, reuseFields, reuseNotes, withSummary } from './receipts.ts';
import { uncheckedContent } from '../evidence/contentChecks.ts';
import type { Hold } from '../space/blocksInUse.ts';
import { leaveActive } from '../projects/activeSession.ts';
import { warmText } from '../kv/textContext.ts';
import { warm } from '../kv/warm.ts';

/**
 * Opens a window: its KV is brought back and measured, then a session goes on from it — a new one, or with `resume` the
 * frozen one itself. The text never depends on the engine: when none answers, the verdict is `text-only` and the session
 * opens all the same. Until the session is written, an abort or failure leaves nothing but KV, which is only cache.
 *
 * @throws CwmError InvalidSessionId, InvalidWindowName, WindowNotFound, InvalidTransition (`resume` of a session that is not frozen as this window), SessionExists (id taken),
 * 4004 (the window's own files are damaged), 5003 (another model is served; `insist` opens the text without its KV), and
 * 7010 (too many sessions), and those of an engine that answers but refuses.
 */
export async function thaw(
  core: CoreContext,
  input: RouteInput<'thaw'>,
  signal: AbortSignal,
  { progress }: Reporter,
): Promise<Receipt> {
  const startedMs = core.clock.elapsedMs();
  const name = parseWindowName(input.window);
  const manifest = await core.store.getWindow(name);
  if (!manifest) throw new CwmError('WindowNotFound', `There is no window "${name}".`);
  const target = input.resume ? manifest.session : newSessionId(core, name, input.session);
  const { sessions, inUse } = core.space;
  const request = { input, manifest, name, target, startedMs, progress };
  const thawInto = (limitNotes: readonly string[]): Promise<Receipt> =>
    core.kvRecords.run(
      manifest.lineage,
      () => inUse.during((hold) => thawNow(core, request, { limitNotes, hold }, signal)),
      signal,
    );
  return core.turns.run(target, () => (input.resume ? thawInto([]) : sessions.take(thawInto)), signal);
}

interface ThawRequest {
  readonly input: RouteInput<'thaw'>;
  readonly manifest: WindowManifest;
  readonly name: WindowName;
  readonly target: SessionId;
  readonly startedMs: number;
  readonly progress: Progress;
}

async function thawNow(
  core: CoreContext,
  { input, manifest, name, target, startedMs, progress }: ThawRequest,
  { limitNotes, hold }: { readonly limitNotes: readonly string[]; readonly hold: Hold },
  signal: AbortSignal,
): Promise<Receipt> {
  const frozen = input.resume ? await requireFrozenAs(core, target, name) : await requireFree(core, target);
  const ids = await core.store.loadWindowTokens(name);
  const kv = await loadKv(core, manifest, name);
  const engineSpec = input.engine ?? manifest.engine;
  const engine = core.engines.get(engineSpec);
  const request = { engine, manifest, ids, kv, insist: input.insist ?? false, progress, hold };
  const outcome = await bringBack(core, request, signal);
  signal.throwIfAborted();

  const at = core.clock.now().toISOString();
  const thawedFrom = { window: name, verdict: outcome.verdict ?? 'text-only' };
  const activeNotes = frozen
    ? await resumeSession(core, frozen, thawedFrom, at)
    : await openSession(core, { id: target, manifest, ids, engineSpec, thawedFrom, at });
  const receipt = withSummary({
    operation: 'thaw',
    session: target,
    window: name,
    ...outcome,
    notes: [...outcome.notes, ...limitNotes, ...activeNotes],
    ms: core.clock.elapsedMs() - startedMs,
    expectedPrefillMs: core.prefill.expectedMs(engineSpec, ids.length),
    at,
  });
  return keepReceipt(core, name, receipt);
}

/** What is known of the window's KV. Where its record is damaged, nothing is: the next salt has no KV, so that all is computed again. */
async function loadKv(core: CoreContext, { lineage: id }: WindowManifest, name: WindowName): Promise<KvRecord> {
  try {
    return await core.store.loadWindowKv(name);
  } catch (error) {
    if (toCwmError(error).name !== 'Corrupted') throw error;
    const lineage = await core.store.getLineage(id);
    const { generation } = await core.store.advanceLineage(lineage.id, lineage.generation);
    return { ...nothingKept, saltGeneration: generation };
  }
}

const nothingKept: Omit<KvRecord, 'saltGeneration'> = {
  engineKind: 'unknown',
  engineVersion: 'unknown',
  blockTokens: null,
  hashProfile: null,
  canary: null,
  canaryIsExact: false,
  prefixCanaries: [],
  handle: null,
  kvBytes: null,
  blocks: [],
};

interface BringBack {
  readonly engine: Engine;
  readonly manifest: WindowManifest;
  readonly ids: readonly number[];
  readonly kv: KvRecord;
  readonly insist: boolean;
  readonly progress: Progress;
  readonly hold: Hold;
}

type Outcome = Omit<Receipt, 'operation' | 'session' | 'window' | 'ms' | 'expectedPrefillMs' | 'at' | 'summary'>;

async function bringBack(core: CoreContext, request: BringBack, signal: AbortSignal): Promise<Outcome> {
  const { engine, manifest, ids, kv, insist, progress, hold } = request;
  progress('Asking the engine');
  const reached = await describeOrAbsent(engine, signal);
  if ('absent' in reached) {
    const notes = [`${reached.absent.message} ${reached.absent.hint}`];
    return withoutKv('text-only', ids.length, kv, 'No engine answered.', null, notes);
  }
  const { description } = reached;
  const difference = modelDifference(manifest.model, description.model);
  if (difference !== null) {
    if (!insist) requireSameModel(manifest.model, description.model);
    const notes = [`The KV was left alone, because ${difference}.`];
    return withoutKv('mismatch', ids.length, kv, 'Another model is served.', description, notes);
  }
  const bringKvBack = ids.length === 0 ? warmText : warm;
  const warmed = await bringKvBack(core, { engine, description, manifest, ids, kv, progress, hold }, signal);
  return {
    verdict: warmed.verdict,
    tier: warmed.measured.reuse.tier,
    tokens: ids.length,
    ...reuseFields(warmed.measured.reuse, description.blockTokens),
    content: warmed.content,
    repair: warmed.repair,
    kvBytes: warmed.kv.kvBytes,
    kvBytesWritten: warmed.kvBytesWritten,
    engine: engineFields(description),
    notes: [...warmed.notes, ...reuseNotes(warmed.measured.reuse), ...description.notices],
  };
}

/** An engine that is not there is a result of a thaw; one that answers and refuses is an error. */
async function describeOrAbsent(
  engine: Engine,
  signal: AbortSignal,
): Promise<{ readonly description: EngineDescription } | { readonly absent: CwmError }> {
  try {
    return { description: await describeTried(engine, signal) };
  } catch (error) {
    const isAbsence = isCwmError(error, 'EngineUnavailable', 'EngineTimeout');
    if (!isAbsence) throw error;
    return { absent: error };
  }
}

const withoutKv = (
  verdict: 'text-only' | 'mismatch',
  tokens: number,
  kv: KvRecord,
  why: string,
  description: EngineDescription | null,
  notes: string[],
): Outcome => ({
  verdict,
  tier: null,
  tokens,
  ...reuseFields(null, kv.blockTokens),
  content: uncheckedContent(why),
  repair: 'none',
  kvBytes: kv.kvBytes,
  kvBytesWritten: 0,
  engine: description && engineFields(description),
  notes,
});

function newSessionId(core: CoreContext, window: string, wanted: string | undefined): SessionId {
  if (wanted !== undefined) return parseSessionId(wanted);
  const stamp = core.clock.now().toISOString().replaceAll(/[-:.]/g, '');
  // Two thaws of one window may fall into the same millisecond.
  const suffix = `-${stamp}-${randomId().slice(0, 4)}`;
  return parseSessionId(`${`thaw-${window}`.slice(0, maxSessionIdLength - suffix.length)}${suffix}`);
}

async function requireFree(core: CoreContext, id: SessionId): Promise<null> {
  if (await core.store.getSession(id)) throw new CwmError('SessionExists', `A session "${id}" exists already.`);
  return null;
}

async function requireFrozenAs(core: CoreContext, id: SessionId, window: string): Promise<Session> {
  const session = await core.store.getSession(id);
  if (!session)
    throw new CwmError('SessionNotFound', `The session "${id}" of this window is gone.`, {
      hint: 'Thaw without "resume".',
    });
  if (session.lifecycle === 'frozen' && session.frozenAs === window) return session;
  throw new CwmError(
    'InvalidTransition',
    `Session "${id}" is not frozen as "${window}", so it cannot be resumed from it.`,
    {
      hint: 'Thaw without "resume" to continue in a new session.',
    },
  );
}

type ThawedFrom = NonNullable<Session['thawedFrom']>;

/** @returns what the user should know, like {@link openSession}. */
async function resumeSession(
  core: CoreContext,
  session: Session,
  thawedFrom: ThawedFrom,
  at: string,
): Promise<string[]> {
  await core.store.updateSession({
    ...session,
    lifecycle: moveLifecycle(session.lifecycle, 'thawed'),
    frozenAs: null,
    thawedFrom,
    updatedAt: at,
    version: session.version + 1,
  });
  return [];
}

interface Opening {
  readonly id: SessionId;
  readonly manifest: WindowManifest;
  readonly ids: readonly number[];
  readonly engineSpec: string;
  readonly thawedFrom: ThawedFrom;
  readonly at: string;
}

async function openSession(core: CoreContext, opening: Opening): Promise<string[]> {
  const { id, manifest, ids, engineSpec, thawedFrom, at } = opening;
  const { messageIds } = manifest;
  const session = newSession({
    id,
    title: manifest.name,
    project: manifest.project,
    engine: engineSpec,
    model: manifest.model,
    lineage: manifest.lineage,
    lifecycle: 'thawed',
    messageIds,
    tokens: manifest.tokens,
    thawedFrom,
    createdAt: at,
  });
  await core.store.createSession(session, { from: manifest.session, messageIds, tokenIds: ids });
  return leaveActive(core, session);
}
