import type { RouteInput } from '../../../protocol/api.ts';
import { nullOn, toCwmError } from '../../../protocol/errors.ts';
import { parseWindowName, type SessionId, type WindowName } from '../../../protocol/ids.ts';
import type { Receipt } from '../../../protocol/schemas/receipt.ts';
import { newSession, type Message, type Session } from '../../../protocol/schemas/session.ts';
import type { KvRecordPlace } from '../../evidence/frozenContext.ts';
import { emptyKv } from '../../kv/emptyKv.ts';
import type { KvRecord, WindowManifest } from '../../../protocol/schemas/window.ts';
import type { Progress, Reporter } from '../../ports/reporter.ts';
import type { CoreContext } from '../../context.ts';
import { familyOf } from '../../ports/lineages.ts';
import { storeReceipt } from '../storeReceipt.ts';
import { bringKvBack, describeSoon } from './bringKvBack.ts';
import { readMessages } from './lostMessages.ts';
import { notAsked, withoutIds, withoutLineage, withoutManifest, withoutMessages } from './openedWithoutKv.ts';
import { withSummary, type Outcome } from '../receipts.ts';
import { chooseTarget, continued, requireTarget, type ThawTarget } from './thawTarget.ts';
import { findWindow, type FoundWindow } from './damagedManifest.ts';
import type { Hold } from '../../space/blocksInUse.ts';
import { makeCurrent } from '../../projects/currentSession.ts';

/**
 * Opens a window: loads its KV and measures the reuse, then continues from it in the window's own session, or in a copy ({@link chooseTarget}).
 * The text never depends on the engine: the session opens in any case, and the receipt says why KV is missing.
 * `insist` lets the opened session continue with another model than the frozen one. Until the session is written, an abort or a
 * failure leaves nothing but KV, which is only cache.
 *
 * @throws CwmError InvalidSessionId, InvalidWindowName, WindowNotFound, InvalidTransition (`resume` of a session that is not frozen as this window),
 * SessionExists (id taken), Corrupted (the window's manifest and its session are damaged; the error names what can still be opened), Exhausted (too many sessions).
 */
export async function thaw(
  core: CoreContext,
  input: Omit<RouteInput<'thaw'>, 'prompt'>,
  signal: AbortSignal,
  { progress }: Reporter,
): Promise<Receipt> {
  const startedMs = core.clock.elapsedMs();
  const name = parseWindowName(input.window);
  const found = await findWindow(core, name);
  const { manifest } = found;
  const target = await chooseTarget(core, name, manifest, input);
  const { sessions, inUse } = core.space;
  const request = { input, found, name, target, startedMs, progress };
  const thawInto = (limitNotes: readonly string[]): Promise<Receipt> =>
    core.kvRecords.run(
      familyOf(manifest.lineage),
      () => inUse.during((hold) => thawNow(core, request, { limitNotes, hold }, signal)),
      signal,
    );
  const isNew = target.kind === 'copy';
  return core.turns.run(target.session, () => (isNew ? sessions.take(thawInto) : thawInto([])), signal);
}

interface ThawRequest {
  readonly input: Omit<RouteInput<'thaw'>, 'prompt'>;
  readonly found: FoundWindow;
  readonly name: WindowName;
  readonly target: ThawTarget;
  readonly startedMs: number;
  readonly progress: Progress;
}

async function thawNow(
  core: CoreContext,
  { input, found: { manifest, damage }, name, target, startedMs, progress }: ThawRequest,
  { limitNotes, hold }: { readonly limitNotes: readonly string[]; readonly hold: Hold },
  signal: AbortSignal,
): Promise<Receipt> {
  const engineSpec = input.engine ?? manifest.engine;
  // All that is read is read beside each other, and the engine is asked who it is beside the longest of it. Each counts where it is waited for.
  const kvRecord = damage === null && input.warm !== false ? unwaited(core.store.windows.loadKv(name)) : null;
  // Damaged token ids leave the text, which needs none.
  const tokens = unwaited(damage === null ? nullOn(core.store.windows.loadTokens(name), 'Corrupted') : null);
  const reading = unwaited(readMessages(core, manifest));
  const own = await requireTarget(core, target, name);
  const description = kvRecord && unwaited(describeSoon(core, engineSpec, kvRecord, signal));
  const [ids, { messages, standIns }] = await Promise.all([tokens, reading]);
  const bringBackNow = async (known: readonly number[], record: Promise<KvRecord>): Promise<Outcome> => {
    const kv = await usableKv(core, manifest, record);
    return bringKvBack(
      core,
      {
        engine: core.engines.get(engineSpec),
        asked: description,
        manifest,
        messages,
        ids: known,
        kv,
        record: recordOfWindow(core, name),
        progress,
        hold,
      },
      signal,
    );
  };
  const outcome =
    damage !== null
      ? withoutManifest(damage, standIns)
      : standIns.length > 0
        ? withoutMessages(manifest, standIns)
        : kvRecord === null
          ? notAsked(manifest)
          : ids
            ? ((await nullOn(bringBackNow(ids, kvRecord), 'Corrupted')) ?? withoutLineage(manifest))
            : withoutIds;
  signal.throwIfAborted();

  const at = core.clock.now().toISOString();
  const thawedFrom = { window: name, verdict: outcome.verdict ?? 'text-only' };
  const isForAnyModel = input.insist === true && outcome.verdict === 'mismatch';
  // The ids of one model mean nothing to another, and ids of a lost text would show the model what the user cannot read.
  const continuedWith = isForAnyModel
    ? { model: null, tokens: null }
    : { model: manifest.model, tokens: standIns.length > 0 ? null : ids && manifest.tokens };
  const placeholders = standIns.length > 0 ? { placeholdersAt: at } : {};
  const whereNotes: string[] = [];
  if (own) {
    await core.store.messages.append(own.id, standIns);
    const changes = { thawedFrom, ...((isForAnyModel || standIns.length > 0) && continuedWith), ...placeholders };
    whereNotes.push(...(await continueSession(core, own, manifest, { standIns, changes, at })));
  } else
    whereNotes.push(
      ...(await openCopy(core, {
        id: target.session,
        manifest,
        engineSpec,
        thawedFrom,
        at,
        ids,
        standIns,
        ...continuedWith,
        ...placeholders,
      })),
    );
  const receipt = withSummary({
    operation: 'thaw',
    session: target.session,
    window: name,
    ...outcome,
    notes: [...outcome.notes, ...limitNotes, ...whereNotes],
    ms: core.clock.elapsedMs() - startedMs,
    expectedPrefillMs: core.prefill.expectedMs(engineSpec, manifest.tokens.count),
    at,
  });
  return storeReceipt(core, name, receipt);
}

/** Begins work whose failure counts only where its result is awaited later. */
function unwaited<T>(begun: Promise<T> | T): Promise<T> {
  const promise = Promise.resolve(begun);
  promise.catch(() => undefined);
  return promise;
}

/** Where a window's KV record is stored. */
export const recordOfWindow = ({ store }: CoreContext, name: WindowName): KvRecordPlace => ({
  save: (kv) => store.windows.replaceKv(name, kv),
  checksumsOfOthers: (hashes) => store.blocks.checksumsOfOthers(hashes, name),
});

/** The record of the window's KV. Where it is damaged, the thaw takes the next salt, which has no KV, so that the engine computes everything. */
async function usableKv(
  core: CoreContext,
  { lineage: id }: WindowManifest,
  record: Promise<KvRecord>,
): Promise<KvRecord> {
  try {
    return await record;
  } catch (error) {
    if (toCwmError(error).name !== 'Corrupted') throw error;
    const lineage = await core.store.lineages.get(id);
    const { generation } = await core.store.lineages.advance(lineage.id, lineage.generation);
    return emptyKv(generation);
  }
}

type ThawedFrom = NonNullable<Session['thawedFrom']>;

/** How the session differs from the window that it continues. */
interface Continued {
  readonly thawedFrom: ThawedFrom;
  readonly model: Session['model'];
  readonly tokens: Session['tokens'];
  readonly at: string;
  readonly placeholdersAt?: string;
}

interface Continuing {
  readonly standIns: readonly Message[];
  readonly changes: Partial<Continued> & Pick<Continued, 'thawedFrom'>;
  readonly at: string;
}

/** @returns notes for the user. */
async function continueSession(
  core: CoreContext,
  own: Session,
  manifest: WindowManifest,
  { standIns, changes, at }: Continuing,
): Promise<string[]> {
  const { session, isBranched } = await continued(core, own, manifest, standIns);
  if (isBranched) await core.trackers.use(own.id, (tracker) => tracker.beforeTurn(own));
  await core.store.sessions.update({ ...session, ...changes, updatedAt: at, version: own.version + 1 });
  const notes = await makeCurrent(core, session);
  if (!isBranched) return notes;
  return [
    `The session has gone on since: it continues on its branch "${session.activeBranch}", which ends with the window's last message.`,
    ...notes,
  ];
}

interface Opening extends Continued {
  readonly id: SessionId;
  readonly manifest: WindowManifest;
  /** Those that `tokens` names; null without. */
  readonly ids: readonly number[] | null;
  /** In place of messages that are lost. */
  readonly standIns: readonly Message[];
  readonly engineSpec: string;
}

/** @returns notes for the user. */
async function openCopy(core: CoreContext, opening: Opening): Promise<string[]> {
  const { id, manifest, ids, engineSpec, thawedFrom, model, tokens, at, standIns, placeholdersAt } = opening;
  const { messageIds } = manifest;
  const origin = await nullOn(core.store.sessions.get(manifest.session), 'Corrupted');
  const opened = newSession({
    id,
    title: origin ? `Copy of ${origin.title}` : manifest.name,
    // What the user said of the original holds for its text, which the copy has.
    ...(origin?.recorded === false && { recorded: false }),
    ...(manifest.settings && { settings: manifest.settings }),
    project: origin?.project ?? manifest.project,
    engine: engineSpec,
    model,
    lineage: manifest.lineage,
    lifecycle: 'thawed',
    messageIds,
    tokens,
    thawedFrom,
    createdAt: at,
  });
  const session = { ...opened, ...(placeholdersAt !== undefined && { placeholdersAt }) };
  const content = { from: manifest.session, messageIds, standIns, tokenIds: tokens && ids };
  await core.store.sessions.create(session, { ...content, memoryUntil: manifest.createdAt });
  return makeCurrent(core, session);
}
