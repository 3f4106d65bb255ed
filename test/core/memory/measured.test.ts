import { describe, expect, test } from 'vitest';
import { SessionMemory } from '../../../src/core/memory/memories.ts';
import type { MemoryTurn } from '../../../src/protocol/memory/records.ts';
import { aMessage } from '../../store/builders.ts';

const turn = (more: Partial<MemoryTurn>): MemoryTurn => ({
  type: 'turn',
  sequence: 2,
  answer: aMessage('m2', 2).id,
  segments: [],
  sent: 1000,
  reused: 900,
  recomputed: 0,
  at: '2026-11-20T10:00:00.000Z',
  ...more,
});

const memoryOf = (...turns: readonly Partial<MemoryTurn>[]): SessionMemory => {
  const memory = new SessionMemory();
  for (const each of turns) memory.add(turn(each));
  return memory;
};

describe('what an eviction costs on a server', () => {
  test('is what its answers measured: the share that it reused, and what it lost in front of the last changes', () => {
    expect(memoryOf().measured).toEqual({ reused: null, lostInFront: 0 });
    expect(memoryOf({}, { reused: null, changedAt: 700 }).measured).toEqual({ reused: 0.9, lostInFront: 0 });
    const changes = [9000, 600, 700, 800].map((changedAt) => ({ reused: 500, changedAt }));
    expect(memoryOf(...changes, {}).measured.lostInFront).toBe(200);
    // A server that rounds down to whole blocks; one that says more than can be.
    expect(memoryOf({ reused: 480, changedAt: 500 }).measured.lostInFront).toBe(20);
    expect(memoryOf({ reused: 600, changedAt: 500 }).measured.lostInFront).toBe(0);
  });

  test('is not what another model’s server measured, nor are the tokens of pages, which it counts in its own way', () => {
    const memory = memoryOf({ reused: 0, changedAt: 700 });
    const message = aMessage('m1', 1);
    const look = () => memory.pagesOf([message], []);
    memory.useModel('one');
    look().setTokens(look().at(1)!.id, 77);
    memory.useModel('one');
    expect([look().at(1)?.tokens, memory.measured]).toEqual([77, { reused: 0, lostInFront: 700 }]);
    memory.useModel('other');
    expect([look().at(1)?.tokens, memory.measured]).toEqual([null, { reused: null, lostInFront: 0 }]);
    memory.add(turn({}));
    expect(memory.measured.reused).toBe(0.9);
    expect(memory.ratio).toBe(0.45);
  });
});
