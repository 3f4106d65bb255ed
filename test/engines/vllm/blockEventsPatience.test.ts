import { encode } from '@msgpack/msgpack';
import { expect, test } from 'vitest';
import { BlockEvents } from '../../../src/engines/vllm/events/blockEvents.ts';
import type { EventSink, EventSource } from '../../../src/engines/vllm/events/eventSource.ts';
import { ManualTimer } from './rig.ts';

const hash = 'ab'.repeat(32);
const expected = { hashes: [hash], ids: [1, 2], blockTokens: 2, salt: 'salt' };

/** Events that a test publishes by hand. */
function published() {
  const sinks: EventSink[] = [];
  let sequence = 0;
  const source: EventSource = { start: (given) => sinks.push(given), ready: async () => null, close: () => undefined };
  const timer = new ManualTimer();
  const publish = (session: string): void => {
    const counted = Buffer.alloc(8);
    counted.writeBigUInt64BE(BigInt(sequence++));
    const event = {
      type: 'BlockStored',
      block_hashes: [BigInt(`0x${hash.slice(-16)}`)],
      token_ids: [1, 2],
      block_size: 2,
      extra_keys: [['salt']],
      session_id: session,
    };
    sinks[0]?.message([new Uint8Array(), counted, encode([1, [event], 0], { useBigInt64: true })]);
  };
  return { events: new BlockEvents(source, timer), publish, timer };
}

test('events that follow the answer are waited for, those of other requests among them', async () => {
  const { events, publish, timer } = published();
  const watched = events.watch('mine');
  const outcome = watched.outcome(expected);
  publish('another');
  publish('mine');
  expect(await outcome).toMatchObject({ announced: 1 });
  // Nothing is left that would end the wait later.
  timer.advanceToNext();
  watched.end();
});

test('events that do not come within a second count as lost', async () => {
  const { events, timer } = published();
  const outcome = events.watch('mine').outcome(expected);
  timer.advance(999);
  timer.advance(1);
  expect(await outcome).toMatchObject({ announced: 0, reused: 0, isComplete: false });
});
