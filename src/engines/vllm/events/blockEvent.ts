import { Decoder } from '@msgpack/msgpack';
import * as z from 'zod/mini';

/** A server's event about its KV blocks. Hashes are the last 8 bytes of its internal ones, in hex. */
export type BlockEvent =
  | {
      readonly type: 'stored';
      readonly hashes: readonly string[];
      /** The block before the first of these; null for the beginning of a context. */
      readonly parent: string | null;
      /** Empty for blocks in a tier beyond the device. */
      readonly ids: readonly number[];
      readonly blockTokens: number;
      readonly isOnDevice: boolean;
      /** Index of the KV cache group: a model with layers of several kinds stores a block once for each. */
      readonly group: number;
      /** The part of the first block's hash besides its tokens: the salt, bare. */
      readonly firstKeys: readonly unknown[];
      /** The `X-Session-ID` of the request. */
      readonly session: string | null;
    }
  | {
      readonly type: 'removed';
      readonly hashes: readonly string[];
      readonly isOnDevice: boolean;
      readonly group: number;
    }
  | { readonly type: 'cleared' };

export interface EventBatch {
  /** Counts the batches of one process from 0. */
  readonly sequence: bigint;
  readonly events: readonly BlockEvent[];
}

const decoder = new Decoder({ useBigInt64: true });
const hash = z.union([z.bigint(), z.number(), z.instanceof(Uint8Array)]);
const optional = <Schema extends z.ZodMiniType>(schema: Schema) => z.optional(z.nullable(schema));
const number = z.union([z.bigint(), z.number()]);
const eventSchema = z.object({
  type: z.string(),
  block_hashes: z.optional(z.array(hash)),
  parent_block_hash: optional(hash),
  token_ids: optional(z.array(number)),
  block_size: optional(number),
  medium: optional(z.string()),
  group_idx: optional(number),
  extra_keys: optional(z.array(z.nullable(z.array(z.unknown())))),
  session_id: optional(z.string()),
});
const batchSchema = z.tuple([z.number(), z.array(eventSchema)], z.unknown());

/** Null where the message is no batch of events that this client understands. */
export function readBatch(parts: readonly Uint8Array[]): EventBatch | null {
  const [, sequence, payload] = parts;
  if (parts.length !== 3 || !sequence || !payload || sequence.length < 8) return null;
  try {
    const batch = batchSchema.safeParse(decoder.decode(payload));
    if (!batch.success) return null;
    const events = batch.data[1].map(asEvent).filter((event) => event !== null);
    return { sequence: Buffer.from(sequence).readBigUInt64BE(0), events };
  } catch {
    return null;
  }
}

function asEvent(event: z.output<typeof eventSchema>): BlockEvent | null {
  const hashes = (event.block_hashes ?? []).map(shortHash);
  const isOnDevice = (event.medium ?? 'GPU') === 'GPU';
  const group = Number(event.group_idx ?? 0);
  if (event.type === 'AllBlocksCleared') return { type: 'cleared' };
  if (event.type === 'BlockRemoved') return { type: 'removed', hashes, isOnDevice, group };
  if (event.type !== 'BlockStored') return null;
  const { parent_block_hash: parent, session_id: session, extra_keys: keys } = event;
  return {
    type: 'stored',
    hashes,
    parent: parent === null || parent === undefined ? null : shortHash(parent),
    ids: (event.token_ids ?? []).map(Number),
    blockTokens: Number(event.block_size ?? 0),
    isOnDevice,
    group,
    firstKeys: keys?.[0] ?? [],
    session: session ?? null,
  };
}

/** An event has a number, or the whole hash, depending on the server's settings. */
function shortHash(value: bigint | number | Uint8Array): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex').slice(-16);
  return BigInt.asUintN(64, BigInt(value)).toString(16).padStart(16, '0');
}
