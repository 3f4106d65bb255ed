import { encode } from '@msgpack/msgpack';
import { describe, expect, test } from 'vitest';
import { readBatch } from '../../../src/engines/vllm/events/blockEvent.ts';
import { BlockLedger, type AnnouncedReuse } from '../../../src/engines/vllm/events/blockLedger.ts';

const blockTokens = 2;
const hashes = [0x11, 0x22, 0x33].map((byte) => byte.toString(16).repeat(32));
const ids = [1, 2, 3, 4, 5, 6];
const context = { hashes, ids, blockTokens, salt: 'salt' };
const wire = (hash: string): bigint => BigInt(`0x${hash.slice(-16)}`);

const partsOf = (sequence: number, events: readonly unknown[]): Uint8Array[] => {
  const counted = Buffer.alloc(8);
  counted.writeBigUInt64BE(BigInt(sequence));
  return [new Uint8Array(), counted, encode([1.5, events, 0], { useBigInt64: true })];
};

/** The blocks `from` to `to` of the context, as vLLM announces them for a request. */
const stored = (session: string | null, from = 0, to = hashes.length, changes: object = {}): object => ({
  type: 'BlockStored',
  block_hashes: hashes.slice(from, to).map(wire),
  parent_block_hash: from === 0 ? null : wire(hashes[from - 1] ?? ''),
  token_ids: ids.slice(from * blockTokens, to * blockTokens),
  block_size: blockTokens,
  medium: 'GPU',
  extra_keys: hashes.slice(from, to).map((_, index) => (from + index === 0 ? ['salt'] : null)),
  session_id: session,
  ...changes,
});
const removed = (hash: string, medium = 'GPU'): object => ({
  type: 'BlockRemoved',
  block_hashes: [wire(hash)],
  medium,
});

/** A ledger that heard these batches, numbered from 0, and then those of the request `n`. */
function reuseAfter(before: readonly (readonly object[])[], of: readonly object[], from = 0): AnnouncedReuse {
  const ledger = new BlockLedger();
  ledger.connected();
  before.forEach((events, index) => ledger.message(partsOf(from + index, events)));
  ledger.watch('n', () => {});
  ledger.message(partsOf(from + before.length, of));
  return ledger.reuseOf('n', context);
}

describe('the ledger of KV blocks', () => {
  test('counts the blocks that were announced before the request as reused, from the first on', () => {
    expect(reuseAfter([[stored(null, 0, 2)]], [stored('n')])).toMatchObject({
      announced: 3,
      reused: 2,
      isComplete: true,
    });
    expect(reuseAfter([[stored(null, 1, 3)]], [stored('n')])).toMatchObject({
      announced: 3,
      reused: 0,
      isComplete: true,
    });
  });

  test('counts what another tier stored, and what was removed from one tier alone', () => {
    const inTier = stored(null, 0, 3, { medium: 'CPU' });
    expect(reuseAfter([[inTier]], [stored('n')]).reused).toBe(3);
    expect(reuseAfter([[inTier, stored(null)], [removed(hashes[1] ?? '')]], [stored('n')]).reused).toBe(3);
    expect(reuseAfter([[inTier], [removed(hashes[1] ?? '', 'CPU')]], [stored('n')]).reused).toBe(1);
  });

  test('knows nothing of blocks after the server removed them, or all of them', () => {
    expect(reuseAfter([[stored(null)], [removed(hashes[0] ?? '')]], [stored('n')]).reused).toBe(0);
    expect(reuseAfter([[stored(null)], [{ type: 'AllBlocksCleared' }]], [stored('n')]).reused).toBe(0);
  });

  test('is complete only since the first event of the server: a later beginning or a gap hides what was there', () => {
    expect(reuseAfter([[stored(null)]], [stored('n')], 7)).toMatchObject({
      announced: 3,
      reused: 3,
      isComplete: false,
    });
    const ledger = new BlockLedger();
    ledger.connected();
    ledger.message(partsOf(0, [stored(null)]));
    ledger.watch('n', () => {});
    ledger.message(partsOf(2, [stored('n')]));
    expect(ledger.reuseOf('n', context)).toMatchObject({ announced: 3, reused: 0, isComplete: false });
  });

  test('begins again with a server that begins again, and with a message that it cannot read', () => {
    const ledger = new BlockLedger();
    ledger.message(partsOf(0, [stored(null)]));
    ledger.watch('n', () => {});
    ledger.message(partsOf(0, [stored('n')]));
    expect(ledger.reuseOf('n', context)).toMatchObject({ announced: 3, reused: 0, isComplete: true });
    ledger.message([Buffer.from('rubbish')]);
    expect(ledger.reuseOf('n', context)).toMatchObject({ announced: 0, reused: 0, isComplete: false });
  });

  test.each<[string, object]>([
    ['other tokens', { token_ids: [1, 2, 3, 4, 5, 7] }],
    ['another block before the first', { parent_block_hash: 5n }],
    ['another salt', { extra_keys: [['other'], null, null] }],
    ['no salt', { extra_keys: null }],
    ['another request', { session_id: 'other' }],
    ['another tier', { medium: 'CPU' }],
  ])('does not take an event with %s for one of the request', (_, changes) => {
    expect(reuseAfter([], [stored('n', 0, 3, changes)]).announced).toBeLessThan(3);
  });

  test('tells the request that waits, and no longer when it has ended', () => {
    const ledger = new BlockLedger();
    let told = 0;
    ledger.watch('n', () => told++);
    ledger.message(partsOf(0, [stored('n')]));
    ledger.unwatch('n');
    ledger.message(partsOf(1, [stored('n')]));
    expect(told).toBe(1);
    expect(ledger.reuseOf('n', context).announced).toBe(0);
  });
});

describe('a batch of events', () => {
  test('may name blocks by their whole hashes, and leave out what it does not know', () => {
    const batch = readBatch(
      partsOf(3, [
        { type: 'BlockStored', block_hashes: [Buffer.from(hashes[0] ?? '', 'hex')], parent_block_hash: 7 },
        { type: 'BlockMoved', block_hashes: [1] },
      ]),
    );
    expect(batch).toEqual({
      sequence: 3n,
      events: [
        {
          type: 'stored',
          hashes: [hashes[0]?.slice(-16)],
          parent: '0000000000000007',
          ids: [],
          blockTokens: 0,
          isOnDevice: true,
          firstKeys: [],
          session: null,
          group: 0,
        },
      ],
    });
  });

  test('of a negative number names the block by its 64 bits, as the server means it', () => {
    const batch = readBatch(partsOf(0, [{ type: 'BlockRemoved', block_hashes: [-1n] }]));
    expect(batch?.events).toEqual([{ type: 'removed', hashes: ['f'.repeat(16)], isOnDevice: true, group: 0 }]);
  });

  test.each<[string, readonly Uint8Array[]]>([
    ['two parts', partsOf(0, []).slice(0, 2)],
    ['a short number', [new Uint8Array(), new Uint8Array(4), encode([1, [], 0])]],
    ['no MessagePack', [new Uint8Array(), new Uint8Array(8), Buffer.from([0xc1])]],
    ['another shape', [new Uint8Array(), new Uint8Array(8), encode({ events: [] })]],
    ['an event without a type', [new Uint8Array(), new Uint8Array(8), encode([1, [{ block_hashes: [1] }], 0])]],
  ])('is none with %s', (_, parts) => {
    expect(readBatch(parts)).toBeNull();
  });
});
