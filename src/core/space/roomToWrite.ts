import { formatBytes } from '../../base/format.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { BlockLocation, EngineDescription } from '../ports/engine.ts';
import type { KvRecord } from '../../protocol/schemas/window.ts';
import type { Space } from './space.ts';

/** The bytes that an operation is about to write below the storage directory. */
export interface Need {
  /** Begins the sentence: `To freeze session "s"` so much is needed. */
  readonly doing: string;
  readonly kvBytes: number;
  readonly recordBytes: number;
}

/**
 * Checks that there is room, before the first byte is written (EC-020).
 *
 * @throws CwmError StorageFull when the disk or the storage quota lacks room; it says how much, and nothing was changed.
 */
export async function requireRoom(space: Space, need: Need, signal: AbortSignal): Promise<void> {
  const neededBytes = need.kvBytes + need.recordBytes;
  const freeBytes = await space.store.space.freeBytes();
  if (freeBytes !== null && freeBytes < neededBytes) {
    throw noRoom(need, 'disk', freeBytes, 'is free on the disk of the storage directory');
  }
  const { storageQuotaBytes } = space.limits;
  if (storageQuotaBytes === null) return;
  const leftBytes = storageQuotaBytes - (await space.used.bytes(signal));
  if (leftBytes < neededBytes) {
    // Measured again, because space may have been freed since the last time.
    const leftNow = storageQuotaBytes - (await space.used.measure(signal));
    if (leftNow < neededBytes) {
      throw noRoom(need, 'quota', leftNow, `is left of the storage quota of ${formatBytes(storageQuotaBytes)}`);
    }
  }
  space.used.add(neededBytes);
}

function noRoom(
  { doing, kvBytes, recordBytes }: Need,
  limit: 'disk' | 'quota',
  /** Below 0 when more is used than the quota allows. */
  leftBytes: number,
  what: string,
): CwmError {
  const neededBytes = kvBytes + recordBytes;
  const availableBytes = Math.max(0, leftBytes);
  const missingBytes = neededBytes - leftBytes;
  return new CwmError(
    'StorageFull',
    `${doing}, ${formatBytes(neededBytes)} is needed, and ${formatBytes(availableBytes)} ${what}: ${formatBytes(missingBytes)} is missing.`,
    {
      hint: 'Prune windows that are no longer used, empty the trash, or make room otherwise. Nothing was changed.',
      context: { limit, neededBytes, kvBytes, recordBytes, availableBytes, missingBytes },
    },
  );
}

/**
 * The bytes that the missing blocks of this context will take on the disk of the storage directory. The size of the other blocks tells,
 * or else that of the engine's latest blocks. 0 for an engine that stores its KV elsewhere, and when no size is known yet.
 */
export function expectedKvBytes(
  space: Space,
  spec: string,
  description: Pick<EngineDescription, 'kind'>,
  located: BlockLocation,
): number {
  if (description.kind !== 'embedded' || !located.reachable) return 0;
  const present = located.blocks.flatMap(({ stat }) => stat ?? []);
  const missing = located.blocks.length - present.length;
  const blockBytes =
    present.reduce((most, { sizeBytes }) => Math.max(most, sizeBytes), 0) || space.blockBytes.get(spec);
  return missing * (blockBytes ?? 0);
}

/** Remembers the size of blocks that a seal wrote. @returns notes for the user, in plain words. */
export function rememberKv(
  space: Space,
  spec: string,
  kv: Pick<KvRecord, 'engineKind' | 'kvBytes' | 'blocks'>,
): string[] {
  const [block] = kv.blocks;
  if (block) space.blockBytes.set(spec, block.sizeBytes);
  const { kvBudgetBytes } = space.limits;
  if (!block || kvBudgetBytes === null || (kv.kvBytes ?? 0) <= kvBudgetBytes) return [];
  return [
    `Its KV alone, ${formatBytes(kv.kvBytes ?? 0)}, is more than the KV budget of ${formatBytes(kvBudgetBytes)}: not all of it will stay, unless the window is pinned.`,
  ];
}

/** Upper limits for a window's records; `bytesOfTheRest` is for a receipt and the directories. */
const bytesPerBlockRecord = 320;
const bytesPerMessageId = 64;
const bytesOfTheRest = 64 * 1024;

export const recordBytesOf = (tokens: number, blocks: number, messages: number): number =>
  4 * tokens + bytesPerBlockRecord * blocks + bytesPerMessageId * messages + bytesOfTheRest;
