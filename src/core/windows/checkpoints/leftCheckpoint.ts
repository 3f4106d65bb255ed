import type { SessionId } from '../../../protocol/ids.ts';
import type { Checkpoint } from '../../../protocol/schemas/checkpoint.ts';
import type { Receipt } from '../../../protocol/schemas/receipt.ts';
import type { CoreContext } from '../../context.ts';
import { recordBlocks } from '../../evidence/blocks.ts';
import { uncheckedContent } from '../../evidence/contentChecks.ts';
import { mostLostTokens } from '../../evidence/reuse.ts';
import { requireSameModel } from '../../identity.ts';
import type { Engine, LeftKv } from '../../ports/engine.ts';
import { familyOf, saltOf } from '../../ports/lineages.ts';
import { activeMessageIds } from '../../session.ts';
import { hashesOf, type Hold } from '../../space/blocksInUse.ts';
import { recordBytesOf, requireRoom } from '../../space/roomToWrite.ts';
import { engineFields, reuseFields } from '../receipts.ts';
import { manifestOf } from '../sealSession.ts';
import {
  forgetReplaced,
  hasCheckpointable,
  isBehind,
  putCheckpoint,
  type SessionWithContext,
} from './rollingCheckpoint.ts';

/** Of a context, so much must be in what the server had: else another program was there, or most of it has to be computed anyway. */
const leastShare = 0.5;

/** What a server wrote of a session when another one came. */
export interface Left {
  readonly kv: LeftKv;
  /** Under which it was computed. */
  readonly salt: string;
  /** What the server's writing took. */
  readonly ms: number;
}

/**
 * Makes a session's checkpoint of what its server had when it lost the session: without a request to the server, so that there is no canary, and the
 * next prompt shows how much is reused. Nothing stays of it where it is no checkpoint.
 *
 * @throws CwmError StorageFull, ModelMismatch, and those of the engine and the store.
 */
export async function makeLeftCheckpoint(core: CoreContext, id: SessionId, left: Left): Promise<Receipt | null> {
  let isTaken = false;
  const kv: LeftKv = {
    ...left.kv,
    async take(...asked) {
      const taken = await left.kv.take(...asked);
      isTaken = true;
      return taken;
    },
  };
  const { signal } = new AbortController();
  try {
    return await core.turns.run(
      id,
      async () => {
        const session = await core.store.sessions.get(id);
        if (!session || !hasCheckpointable(session)) return null;
        const before = await core.store.checkpoints.get(id);
        if (!isBehind(before, session)) return null;
        return core.kvRecords.run(
          familyOf(session.lineage),
          () => core.space.inUse.during((hold) => take(core, session, { ...left, kv }, { before, hold }, signal)),
          signal,
        );
      },
      signal,
    );
  } finally {
    if (!isTaken) await left.kv.drop();
  }
}

async function take(
  core: CoreContext,
  session: SessionWithContext,
  left: Left,
  { before, hold }: { readonly before: Checkpoint | null; readonly hold: Hold },
  signal: AbortSignal,
): Promise<Receipt | null> {
  const { id, engine: spec, tokens } = session;
  const engine = core.engines.get(spec);
  const lineage = await core.store.lineages.get(session.lineage);
  const messageIds = [...(await activeMessageIds(core, session))];
  const ids = await core.store.sessions.loadTokens(id, tokens.sha256);
  const description = await engine.describe(signal);
  requireSameModel(session.model, description.model);
  const doing = `To make a checkpoint of session "${id}"`;
  const recordBytes = recordBytesOf(ids.length, 1, messageIds.length);
  await requireRoom(core.space, { doing, kvBytes: 0, recordBytes }, signal);
  const salt = saltOf(lineage);
  // The lineage went on to another salt while the server wrote, and nobody may find this KV any more.
  if (salt !== left.salt) return null;
  const taken = await left.kv.take({ ids, salt }, leastShare * ids.length);
  if (!taken) return null;
  let receipt: Receipt;
  try {
    const located = await engine.locate({ ids, salt, handle: taken.handle }, signal);
    await hold(hashesOf(located));
    const [block] = located.reachable ? await recordBlocks(engine, located.blocks, [], signal) : [];
    if (!block) throw new Error('What the model server wrote is gone.');
    const { sizeBytes: kvBytes } = block;
    receipt = await putCheckpoint(core, {
      manifest: manifestOf(session, { messageIds, tokens, description, engineSpec: spec }),
      kv: {
        saltGeneration: lineage.generation,
        engineKind: description.kind,
        engineVersion: description.version,
        blockTokens: description.blockTokens,
        hashProfile: description.hashProfile,
        canaryIsExact: false,
        prefixCanaries: [],
        mostReusable: Math.max(1, taken.tokens - mostLostTokens),
        canary: null,
        handle: taken.handle,
        kvBytes,
        blocks: [block],
      },
      fields: {
        verdict: 'unobserved',
        tier: 'disk',
        tokens: tokens.count,
        ...reuseFields(null, description.blockTokens),
        content: { ...uncheckedContent(noCanary), checksums: 'agreed', blocksChecked: 1, blocksHashed: 1 },
        repair: 'none',
        kvBytes,
        kvBytesWritten: kvBytes,
        engine: engineFields(description),
        notes: [...description.notices],
      },
      before,
      ms: left.ms,
    });
  } catch (error) {
    await forget(engine, taken.handle);
    throw error;
  }
  // Behind the record: from here on, a failure must not delete the file that it names.
  if (before) await forgetReplaced(core, before, taken.handle);
  return receipt;
}

const noCanary = 'It was saved as the server had it, and no canary was asked.';

async function forget(engine: Engine, handle: string): Promise<void> {
  try {
    await engine.forget({ hashes: [], handle }, new AbortController().signal);
  } catch {
    // The error that ended the checkpoint says more, and the caller throws it.
  }
}
