import { CwmError } from '../../protocol/errors.ts';
import {
  parseDescription,
  parseSessionId,
  parseTags,
  parseWindowName,
  type SessionId,
  type WindowName,
} from '../../protocol/ids.ts';
import type { Receipt } from '../../protocol/schemas/receipt.ts';
import type { ContextTokens, Session } from '../../protocol/schemas/session.ts';
import type { RouteInput } from '../../protocol/api.ts';
import type { Progress, Reporter } from '../ports/reporter.ts';
import type { CoreContext } from '../context.ts';
import { deleteContradicted } from '../kv/deleteContradicted.ts';
import { describeTried } from '../kv/describeTried.ts';
import { storeReceipt } from './storeReceipt.ts';
import { requireSameModel } from '../identity.ts';
import { moveLifecycle, requireOpen } from '../lifecycle.ts';
import { saltOf } from '../ports/lineages.ts';
import { advance, isAtRest, isPaused, settled } from '../turns/machine.ts';
import type { BlockLocation, EngineDescription } from '../ports/engine.ts';
import { engineFields, reuseFields, reuseNotes, withSummary } from './receipts.ts';
import { cutNotes } from '../prompt/cutPrompt.ts';
import { seal, type Sealed } from '../kv/seal.ts';
import { hashesOf, type Hold } from '../space/blocksInUse.ts';
import { expectedKvBytes, recordBytesOf, rememberKv, requireRoom } from '../space/roomToWrite.ts';
import { sealText } from '../kv/textContext.ts';
import { activeMessageIds, activeSettings, requireSession } from '../session.ts';
import { decideVerdict, idsEvidence } from '../evidence/verdict.ts';

interface Wanted {
  readonly operation: 'freeze' | 'checkpoint';
  readonly session: SessionId;
  readonly name: WindowName;
  readonly description: string;
  readonly tags: string[];
  readonly engine: string | undefined;
  readonly startedMs: number;
  readonly progress: Progress;
}

/**
 * Makes a window of a session. `freeze` ends the session's turn-taking until a thaw, `checkpoint` leaves it running. A
 * failure before the window is written changes nothing except KV blocks, which are only cache.
 *
 * @throws CwmError InvalidSessionId, InvalidWindowName, InvalidParameter (bad ids, nothing to freeze), SessionNotFound, InvalidTransition (a turn is under way), AlreadyFrozen (frozen already),
 * WindowExists (name taken), StorageFull (no room: nothing was written), ModelMismatch (another model is served), Exhausted (too many windows), and those of
 * the engine and the store.
 */
export async function freeze(
  core: CoreContext,
  input: RouteInput<'freeze'>,
  signal: AbortSignal,
  { progress }: Reporter,
): Promise<Receipt> {
  const wanted: Wanted = {
    operation: input.checkpoint ? 'checkpoint' : 'freeze',
    session: parseSessionId(input.session),
    name: parseWindowName(input.window),
    description: parseDescription(input.description ?? ''),
    tags: parseTags(input.tags ?? []),
    engine: input.engine,
    startedMs: core.clock.elapsedMs(),
    progress,
  };
  const { windows, inUse } = core.space;
  const { session } = await requireFreezable(core, wanted.session);
  if (core.turns.isBusy(wanted.session) && !isAtRest(session)) {
    throw new CwmError('InvalidTransition', `Session "${session.id}" is in the middle of a turn (${session.phase}).`);
  }
  const freezeAlone = (limitNotes: readonly string[]): Promise<Receipt> =>
    core.kvRecords.run(
      session.lineage,
      () => inUse.during((hold) => freezeNow(core, wanted, { limitNotes, hold }, signal)),
      signal,
    );
  return core.turns.run(wanted.session, () => windows.take(freezeAlone), signal);
}

async function freezeNow(
  core: CoreContext,
  wanted: Wanted,
  { limitNotes, hold }: { readonly limitNotes: readonly string[]; readonly hold: Hold },
  signal: AbortSignal,
): Promise<Receipt> {
  const { operation, name, description, tags, progress } = wanted;
  const { session, tokens } = await requireFreezable(core, wanted.session);
  if (await core.store.windows.get(name))
    throw new CwmError('WindowExists', `A window named "${name}" exists already.`);
  const engineSpec = wanted.engine ?? session.engine;
  const engine = core.engines.get(engineSpec);
  progress('Asking the engine');
  const engineDescription = await describeTried(engine, signal);
  requireSameModel(session.model, engineDescription.model);
  const ids = await core.store.sessions.loadTokens(wanted.session, tokens.sha256);
  const lineage = await core.store.lineages.get(session.lineage);
  const messageIds = [...(await activeMessageIds(core, session))];
  let deleted = 0;
  const onLocated = async (located: BlockLocation): Promise<void> => {
    const hashes = hashesOf(located);
    await hold(hashes);
    const need = {
      doing: `To ${operation} session "${session.id}"`,
      kvBytes: expectedKvBytes(core.space, engineSpec, engineDescription, located),
      recordBytes: recordBytesOf(ids.length, hashes.length, messageIds.length),
    };
    await requireRoom(core.space, need, signal);
    deleted = await deleteContradicted(core, engine, { lineage: lineage.id, located }, signal);
  };
  const sealed =
    ids.length === 0
      ? await sealText(engineDescription, tokens, lineage.generation, onLocated)
      : await seal(
          {
            engine,
            description: engineDescription,
            context: { ids, salt: saltOf(lineage), handle: null },
            saltGeneration: lineage.generation,
            known: null,
            progress,
            onLocated,
          },
          signal,
        );
  signal.throwIfAborted();

  progress('Writing the window');
  const at = core.clock.now().toISOString();
  await core.store.windows.create(
    {
      formatVersion: 1,
      name,
      description,
      tags,
      session: session.id,
      mode: operation,
      branch: session.activeBranch,
      messageIds,
      parentWindow: session.thawedFrom?.window ?? null,
      project: session.project,
      lineage: session.lineage,
      tokens,
      model: engineDescription.model,
      settings: activeSettings(session),
      engine: engineSpec,
      createdAt: at,
    },
    ids,
    sealed.kv,
  );
  if (operation === 'freeze') await endTurns(core, session, name, at);
  core.prefill.observe(engineSpec, sealed.measured.reuse);
  const fields = sealedFields(sealed, engineDescription, tokens);
  const receipt = withSummary({
    operation,
    session: session.id,
    window: name,
    ...fields,
    notes: [
      ...fields.notes,
      ...cutNotes(tokens.cut),
      ...deletedNotes(deleted),
      ...limitNotes,
      ...rememberKv(core.space, engineSpec, sealed.kv),
    ],
    ms: core.clock.elapsedMs() - wanted.startedMs,
    expectedPrefillMs: core.prefill.expectedMs(engineSpec, ids.length),
    at,
  });
  return storeReceipt(core, name, receipt);
}

/** Deletes the window again when the session cannot be frozen, so that a retry finds the state of before. */
async function endTurns(core: CoreContext, session: Session, window: WindowName, at: string): Promise<void> {
  try {
    await core.store.sessions.update({
      ...advance(settled(session), 'freeze'),
      lifecycle: moveLifecycle(session.lifecycle, 'frozen'),
      frozenAs: window,
      updatedAt: at,
      version: session.version + 1,
    });
  } catch (error) {
    await core.store.windows.delete(window);
    throw error;
  }
}

async function requireFreezable(
  core: CoreContext,
  id: SessionId,
): Promise<{ session: Session; tokens: ContextTokens }> {
  const session = await requireSession(core, id);
  requireOpen(session, core.clock.now());
  if (isPaused(session)) {
    throw new CwmError('InvalidTransition', `Session "${id}" waits for your decision about tool calls.`);
  }
  if (!session.tokens) {
    throw new CwmError('InvalidParameter', `Session "${id}" has no context yet: there is nothing to freeze.`, {
      hint: 'Prime it with files or send a message first.',
    });
  }
  return { session, tokens: session.tokens };
}

const deletedNotes = (count: number): string[] =>
  count === 0
    ? []
    : [`Block files that were not what an earlier window recorded were deleted and computed again: ${count}.`];

/** What a seal contributes to its receipt. */
function sealedFields(sealed: Sealed, description: EngineDescription, tokens: ContextTokens) {
  const { kv, measured } = sealed;
  const onDisk = kv.blocks.length > 0 && sealed.blocksMissing === 0;
  const checksums = kv.blocks.length === 0 ? ('not-run' as const) : ('agreed' as const);
  const canary = kv.canary ? ('agreed' as const) : ('not-run' as const);
  return {
    verdict: decideVerdict({
      kind: 'request',
      promptTokens: measured.reuse.promptTokens,
      cachedTokens: measured.reuse.cachedTokens,
      cachedTokensFrom: measured.reuse.cachedTokensFrom,
      blockTokens: description.blockTokens,
      mostReusable: kv.mostReusable,
      files: 'whole',
      // A freeze has no earlier record to compare the content with; later thaws have, where all files are recorded.
      content: onDisk ? 'checksums' : kv.canary ? 'canary' : 'unchecked',
      ids: idsEvidence(tokens),
    }),
    tier: onDisk ? ('disk' as const) : measured.reuse.tier,
    tokens: tokens.count,
    ...reuseFields(measured.reuse, description.blockTokens, kv.mostReusable),
    content: {
      checksums,
      canary,
      blocksChecked: kv.blocks.length,
      blocksHashed: kv.blocks.length,
      blocksDamaged: 0,
      blocksMissing: sealed.blocksMissing,
      canaryDifference: sealed.canaryNoise,
      canaryNoise: sealed.canaryNoise,
      why: sealed.blocksUnreachable,
    },
    repair: 'none' as const,
    kvBytes: kv.kvBytes,
    kvBytesWritten: sealed.kvBytesWritten,
    engine: engineFields(description),
    notes: [...sealed.notes, ...reuseNotes(measured.reuse), ...description.notices],
  };
}
