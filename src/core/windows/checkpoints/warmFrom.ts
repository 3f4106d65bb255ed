import type { SessionId, WindowName } from '../../../protocol/ids.ts';
import type { Checkpoint } from '../../../protocol/schemas/checkpoint.ts';
import type { Receipt } from '../../../protocol/schemas/receipt.ts';
import type { KvRecord, WindowManifest } from '../../../protocol/schemas/window.ts';
import type { CoreContext } from '../../context.ts';
import { familyOf } from '../../ports/lineages.ts';
import type { KvRecordPlace } from '../../evidence/frozenContext.ts';
import { silent } from '../../ports/reporter.ts';
import type { Hold } from '../../space/blocksInUse.ts';
import { bringKvBack } from '../thaw/bringKvBack.ts';
import { readMessages } from '../thaw/lostMessages.ts';
import { withoutMessages } from '../thaw/openedWithoutKv.ts';
import { withSummary, type Outcome } from '../receipts.ts';
import { recordOfWindow } from '../thaw/thaw.ts';

/** What is brought back, and where it is recorded. */
interface Warmable {
  readonly manifest: WindowManifest;
  readonly kv: KvRecord;
  readonly record: KvRecordPlace;
  readonly ids: readonly number[];
  /** What computing it took or would take; null: not known. */
  readonly computeMs: number | null;
  readonly isOfCheckpoint: boolean;
}

/**
 * Brings the KV of a session's checkpoint back, and measures what the engine reuses. The session itself does not change: it goes on as it
 * was, and what it said since the checkpoint is computed with its next message.
 *
 * @returns null when it has no checkpoint any more.
 * @throws CwmError Cancelled, and those of the store.
 */
export const warmFromCheckpoint = (core: CoreContext, id: SessionId, signal: AbortSignal): Promise<Receipt | null> =>
  warmFrom(
    core,
    id,
    async () => {
      const checkpoint = await core.store.checkpoints.get(id);
      if (!checkpoint) return null;
      const { manifest, kv, receipt } = checkpoint;
      const ids = await core.store.sessions.loadTokens(id, manifest.tokens.sha256);
      const record = placeOf(core, checkpoint);
      return { manifest, kv, ids, record, computeMs: receipt.expectedPrefillMs, isOfCheckpoint: true };
    },
    signal,
  );

/** As {@link warmFromCheckpoint}, of the base that the session begins with. @returns null when its window is gone. */
export const warmFromBase = (
  core: CoreContext,
  id: SessionId,
  window: WindowName,
  signal: AbortSignal,
): Promise<Receipt | null> =>
  warmFrom(
    core,
    id,
    async () => {
      const { windows } = core.store;
      const manifest = await windows.get(window);
      if (!manifest) return null;
      const [kv, ids] = [await windows.loadKv(window), await windows.loadTokens(window)];
      return { manifest, kv, ids, record: recordOfWindow(core, window), computeMs: null, isOfCheckpoint: false };
    },
    signal,
  );

async function warmFrom(
  core: CoreContext,
  id: SessionId,
  find: () => Promise<Warmable | null>,
  signal: AbortSignal,
): Promise<Receipt | null> {
  const startedMs = core.clock.elapsedMs();
  return core.turns.run(
    id,
    async () => {
      const found = await find();
      if (!found) return null;
      const { manifest, kv, record, ids } = found;
      const engine = core.engines.get(manifest.engine);
      const { progress } = silent;
      const asked = core.warmings.ahead.descriptions.take(id);
      const { messages, standIns } = await readMessages(core, manifest);
      const bringBack = (hold: Hold): Promise<Outcome> =>
        bringKvBack(
          core,
          { engine, manifest, messages, ids, kv, record, progress, hold, asked, isFollowed: found.isOfCheckpoint },
          signal,
        );
      const outcome =
        standIns.length > 0
          ? withoutMessages(manifest, standIns)
          : await core.kvRecords.run(familyOf(manifest.lineage), () => core.space.inUse.during(bringBack), signal);
      return withSummary({
        operation: 'thaw',
        session: id,
        window: manifest.name,
        ...(found.isOfCheckpoint && { ofCheckpoint: true }),
        ...outcome,
        ms: core.clock.elapsedMs() - startedMs,
        expectedPrefillMs: core.prefill.expectedMs(manifest.engine, ids.length) ?? found.computeMs,
        at: core.clock.now().toISOString(),
      });
    },
    signal,
  );
}

const placeOf = ({ store }: CoreContext, checkpoint: Checkpoint): KvRecordPlace => ({
  save: (kv) => store.checkpoints.put({ ...checkpoint, kv }),
  async checksumsOfOthers(hashes) {
    const records = await store.blocks.recordsOfLineage(checkpoint.manifest.lineage, hashes);
    return new Map([...records].map(([hash, of]) => [hash, [...new Set(of.map(({ checksum }) => checksum))]]));
  },
});
