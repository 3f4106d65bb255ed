import type { RouteInput } from '../../protocol/api.ts';
import { CwmError } from '../../protocol/errors.ts';
import { parseDescription, parseTags, parseWindowName, type WindowName } from '../../protocol/ids.ts';
import type { Receipt } from '../../protocol/schemas/receipt.ts';
import type { CoreContext } from '../context.ts';
import { storeReceipt } from './storeReceipt.ts';
import { reuseFields, withSummary } from './receipts.ts';
import { uncheckedContent } from '../evidence/contentChecks.ts';
import { recordBytesOf, requireRoom } from '../space/roomToWrite.ts';
import { requireWindow } from './windows.ts';

/**
 * Creates a second window over the same content, under the same salt: it shares every block and copies none. It asks no engine.
 *
 * @throws CwmError InvalidWindowName, InvalidParameter, WindowNotFound (no such window), WindowExists (target taken), StorageFull,
 *   Exhausted (too many windows), Corrupted (the source's files are damaged).
 */
export async function clone(core: CoreContext, input: RouteInput<'clone'>, signal: AbortSignal): Promise<Receipt> {
  const startedMs = core.clock.elapsedMs();
  const source = parseWindowName(input.window);
  const target = parseWindowName(input.target);
  const manifest = await requireWindow(core, source);
  const description = parseDescription(input.description ?? manifest.description);
  const tags = parseTags(input.tags ?? manifest.tags);
  // Under the lock: a prune that runs at the same time must see the clone before it deletes blocks that only the clone still needs.
  return core.space.lock.run(
    () =>
      core.space.windows.take((notes) =>
        cloneNow(core, { source, target, description, tags, notes, startedMs }, signal),
      ),
    signal,
  );
}

interface CloneRequest {
  readonly source: WindowName;
  readonly target: WindowName;
  readonly description: string;
  readonly tags: string[];
  readonly notes: readonly string[];
  readonly startedMs: number;
}

async function cloneNow(
  core: CoreContext,
  { source, target, description, tags, notes, startedMs }: CloneRequest,
  signal: AbortSignal,
): Promise<Receipt> {
  const manifest = await requireWindow(core, source);
  if (await core.store.windows.get(target))
    throw new CwmError('WindowExists', `A window named "${target}" exists already.`);
  const ids = await core.store.windows.loadTokens(source);
  const kv = await core.store.windows.loadKv(source);
  const recordBytes = recordBytesOf(ids.length, kv.blocks.length, manifest.messageIds.length);
  await requireRoom(core.space, { doing: `To clone window "${source}"`, kvBytes: 0, recordBytes }, signal);
  signal.throwIfAborted();

  const at = core.clock.now().toISOString();
  await core.store.windows.create(
    { ...manifest, name: target, description, tags, mode: 'clone', parentWindow: source, createdAt: at },
    ids,
    kv,
  );
  const receipt = withSummary({
    operation: 'clone',
    session: manifest.session,
    window: target,
    verdict: null,
    tier: null,
    tokens: ids.length,
    ...reuseFields(null, kv.blockTokens),
    content: uncheckedContent('A clone asks no engine.'),
    repair: 'none',
    kvBytes: kv.kvBytes,
    kvBytesWritten: 0,
    ms: core.clock.elapsedMs() - startedMs,
    expectedPrefillMs: null,
    engine: null,
    notes: [...notes],
    at,
  });
  return storeReceipt(core, target, receipt);
}
