import type { Receipt } from '../../protocol/schemas/receipt.ts';
import type { ContextTokens, Session } from '../../protocol/schemas/session.ts';
import type { KvRecord, WindowManifest } from '../../protocol/schemas/window.ts';
import type { CoreContext } from '../context.ts';
import { decideVerdict, idsEvidence } from '../evidence/verdict.ts';
import { requireSameModel } from '../identity.ts';
import { deleteContradicted } from '../kv/deleteContradicted.ts';
import { hasDamageInMemory, type DeletedBlock } from '../kv/damageInMemory.ts';
import { describeTried } from '../kv/describeTried.ts';
import { importedNotes } from '../kv/importedNotes.ts';
import { seal, type Sealed } from '../kv/seal.ts';
import { sealText } from '../kv/textContext.ts';
import type { BlockLocation, Engine, EngineDescription } from '../ports/engine.ts';
import { hasImportedKv, saltOf, type Lineage } from '../ports/lineages.ts';
import type { Progress } from '../ports/reporter.ts';
import { cutNotes } from '../prompt/cutPrompt.ts';
import { activeMessageIds, activeSettings } from '../session.ts';
import { hashesOf, type Hold } from '../space/blocksInUse.ts';
import { expectedKvBytes, recordBytesOf, requireRoom } from '../space/roomToWrite.ts';
import { engineFields, reuseFields, reuseNotes } from './receipts.ts';

export interface SessionToSeal {
  readonly session: Session;
  readonly tokens: ContextTokens;
  readonly engineSpec: string;
  /** Begins the sentence that refuses it where there is no room: `To freeze session "s"`. */
  readonly doing: string;
  readonly progress: Progress;
  readonly hold: Hold;
  /** What an earlier seal of the session recorded: its files are not read again. */
  readonly earlier?: KvRecord | undefined;
  /** Nobody asked for it, so it should cost little. Default: false. */
  readonly isUnasked?: boolean;
}

/** What a seal says in a receipt. */
type SealedFields = Omit<
  Receipt,
  'operation' | 'session' | 'window' | 'summary' | 'ms' | 'expectedPrefillMs' | 'at' | 'nextMessage'
>;

export interface SealedSession extends Pick<Sealed, 'kv'> {
  readonly ids: readonly number[];
  /** What a window of it consists of, but for what names the window. */
  readonly manifest: Omit<WindowManifest, 'formatVersion' | 'name' | 'description' | 'tags' | 'mode' | 'createdAt'>;
  readonly fields: SealedFields;
}

export const manifestOf = (
  session: Session,
  {
    description,
    engineSpec,
    ...rest
  }: Pick<SessionToSeal, 'tokens' | 'engineSpec'> & {
    readonly messageIds: WindowManifest['messageIds'];
    readonly description: Pick<EngineDescription, 'model'>;
  },
): SealedSession['manifest'] => ({
  session: session.id,
  branch: session.activeBranch,
  parentWindow: session.thawedFrom?.window ?? session.base ?? null,
  project: session.project,
  lineage: session.lineage,
  model: description.model,
  settings: activeSettings(session),
  engine: engineSpec,
  ...rest,
});

/**
 * Has the engine store the KV of a session that is at rest, and collects the evidence that later thaws are compared with. Nothing but KV
 * changes.
 *
 * @throws CwmError StorageFull (no room: nothing was written), ModelMismatch, and those of the engine and the store.
 */
export async function sealSession(
  core: CoreContext,
  { session, tokens, engineSpec, doing, progress, hold, earlier, isUnasked = false }: SessionToSeal,
  signal: AbortSignal,
): Promise<SealedSession> {
  const engine = core.engines.get(engineSpec);
  progress('Asking the engine');
  const description = await describeTried(engine, signal);
  requireSameModel(session.model, description.model);
  const ids = await core.store.sessions.loadTokens(session.id, tokens.sha256);
  let lineage = await core.store.lineages.get(session.lineage);
  const messageIds = [...(await activeMessageIds(core, session))];
  let deleted: readonly DeletedBlock[] = [];
  /** Of a context that is stored as a whole: the file that is about to be written. */
  let begun: readonly string[] = [];
  const onLocated = async (located: BlockLocation): Promise<void> => {
    const hashes = hashesOf(located);
    await hold(hashes);
    const need = {
      doing,
      kvBytes: expectedKvBytes(core.space, engineSpec, description, located),
      recordBytes: recordBytesOf(ids.length, hashes.length, messageIds.length),
    };
    await requireRoom(core.space, need, signal);
    const { blockTokens } = description;
    const stored = { lineage: lineage.id, located, tokens: ids.length, blockTokens };
    deleted = await deleteContradicted(core, engine, stored, signal);
    begun = wholeFileOf(description, located);
  };
  const sealUnder = ({ generation }: Lineage): Promise<Sealed> => {
    if (ids.length === 0) return sealText(description, tokens, generation, onLocated);
    const slot = core.holders.slotOf(engineSpec, session.id);
    const context = { ids, salt: saltOf(lineage), handle: null, slot };
    const known = earlier?.saltGeneration === generation ? earlier : null;
    const how = { isUnasked, ...(known && { replaced: known }) };
    const parts = { engine, description, context, saltGeneration: generation, known, ...how, progress, onLocated };
    return seal(parts, signal);
  };
  try {
    let sealed = await sealUnder(lineage);
    const found = deleted;
    const isGivenUp = hasDamageInMemory(found, sealed.kv.blocks, sealed.reusedAtFirst);
    if (isGivenUp) {
      progress('Computing the context again');
      await engine.forget({ hashes: found.map(({ hash }) => hash), handle: null }, signal);
      lineage = await core.store.lineages.advance(lineage.id, lineage.generation);
      sealed = await sealUnder(lineage);
    }
    signal.throwIfAborted();
    core.prefill.observe(engineSpec, sealed.measured.reuse);
    const fields = sealedFields(sealed, description, tokens, hasImportedKv(lineage));
    return {
      kv: sealed.kv,
      ids,
      manifest: manifestOf(session, { messageIds, tokens, description, engineSpec }),
      fields: {
        ...fields,
        ...(isGivenUp && { repair: 'salt-advanced' as const }),
        notes: [...fields.notes, ...deletedNotes(found.length), ...(isGivenUp ? [givenUpNote] : [])],
      },
    };
  } catch (error) {
    await forgetBegun(engine, begun);
    throw error;
  }
}

/** Room for the blocks of a context that the engine does not have yet. @throws CwmError StorageFull (nothing was written). */
export function requireRoomForKv(
  { space }: CoreContext,
  {
    doing,
    spec,
    description,
    located,
  }: {
    readonly doing: string;
    readonly spec: string;
    readonly description: EngineDescription;
    readonly located: BlockLocation;
  },
  signal: AbortSignal,
): Promise<void> {
  const kvBytes = expectedKvBytes(space, spec, description, located);
  return requireRoom(space, { doing, kvBytes, recordBytes: 0 }, signal);
}

/** Blocks are found again by their names; a file of a whole context that no record names would stay for ever. */
const wholeFileOf = ({ kind }: EngineDescription, located: BlockLocation): readonly string[] =>
  kind === 'llama-server' && located.reachable
    ? located.blocks.filter(({ stat }) => stat === null).map(({ hash }) => hash)
    : [];

async function forgetBegun(engine: Engine, hashes: readonly string[]): Promise<void> {
  if (hashes.length === 0) return;
  try {
    await engine.forget({ hashes, handle: null }, new AbortController().signal);
  } catch {
    // The error that ended the seal says more, and the caller throws it.
  }
}

const deletedNotes = (count: number): string[] =>
  count === 0 ? [] : [`Block files that were not what an earlier window recorded were deleted: ${count}.`];

const givenUpNote =
  'The model server had read such a file and still had it in memory, so its KV was given up and the context computed again. The last answers may rest on it.';

/** What a seal contributes to its receipt. */
function sealedFields(
  sealed: Sealed,
  description: EngineDescription,
  tokens: ContextTokens,
  isImported: boolean,
): SealedFields {
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
      computed: isImported ? 'elsewhere' : 'here',
    }),
    tier: onDisk ? ('disk' as const) : measured.reuse.tier,
    tokens: tokens.count,
    ...reuseFields(measured.reuse, description.blockTokens, kv.mostReusable),
    content: {
      checksums,
      canary,
      blocksChecked: kv.blocks.length,
      blocksHashed: sealed.blocksHashed,
      blocksDamaged: 0,
      blocksMissing: sealed.blocksMissing,
      canaryDifference: sealed.canaryNoise,
      canaryNoise: sealed.canaryNoise,
      why: sealed.blocksUnreachable,
      ...(isImported && { isImported }),
    },
    repair: 'none' as const,
    kvBytes: kv.kvBytes,
    kvBytesWritten: sealed.kvBytesWritten,
    engine: engineFields(description),
    notes: [
      ...sealed.notes,
      ...reuseNotes(measured.reuse),
      ...description.notices,
      ...cutNotes(tokens.cut),
      ...importedNotes(isImported),
    ],
  };
}
