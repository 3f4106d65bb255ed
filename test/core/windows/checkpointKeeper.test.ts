import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import type { CoreContext } from '../../../src/core/context.ts';
import { CheckpointKeeper } from '../../../src/core/windows/checkpoints/checkpointKeeper.ts';
import type { EngineRegistry } from '../../../src/core/ports/engineRegistry.ts';
import { EngineHolders } from '../../../src/core/windows/checkpoints/engineHolders.ts';
import { SavingCosts } from '../../../src/core/windows/checkpoints/checkpointPolicy.ts';
import type { SessionId } from '../../../src/protocol/ids.ts';

const [a, b] = ['a', 'b'] as SessionId[] as [SessionId, SessionId];
const engine = 'http://127.0.0.1:8080';

/** It never gets as far as a checkpoint: no record of a session can be read. */
function keeperOf(): { keeper: CheckpointKeeper; holders: EngineHolders } {
  const clock = { ...systemClock, elapsedMs: () => 1 };
  const holders = new EngineHolders({ get: () => expect.fail() } as unknown as EngineRegistry, clock);
  const core = {
    clock,
    holders,
    store: { sessions: { get: () => new Promise(() => undefined) } },
  } as unknown as CoreContext;
  const keeper = new CheckpointKeeper(
    () => core,
    { enabled: true },
    (error) => expect.fail(String(error)),
    () => undefined,
  );
  return { keeper, holders };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('a turn on a server with room for one conversation is in its memory until another conversation takes that', () => {
  const { keeper, holders } = keeperOf();
  holders.took(engine, a);
  keeper.afterOutsideTurn(a, true, { heldTokens: null, answeredMs: 1 });
  expect(keeper.isOnlyInMemory({ id: a, engine })).toBe(true);
  holders.took(engine, b);
  expect(keeper.isOnlyInMemory({ id: a, engine })).toBe(false);
});

test('a turn on a server with room for several is in its memory also when another conversation came', () => {
  const { keeper, holders } = keeperOf();
  keeper.afterOutsideTurn(a, false, { heldTokens: null, answeredMs: 1 });
  holders.took(engine, b);
  expect(keeper.isOnlyInMemory({ id: a, engine })).toBe(true);
});

test('a turn that is stored after its server was found empty is not in its memory', () => {
  const { keeper, holders } = keeperOf();
  holders.emptied(engine);
  keeper.afterOutsideTurn(a, true, { heldTokens: null, answeredMs: 0 });
  expect(keeper.isOnlyInMemory({ id: a, engine })).toBe(false);
  keeper.afterOutsideTurn(a, true, { heldTokens: null, answeredMs: 2 });
  expect(keeper.isOnlyInMemory({ id: a, engine })).toBe(true);
});

test('a save that cost more than computing is tried again after some turns, however much it cost', () => {
  const costs = new SavingCosts();
  expect(costs.pays(engine, 400, 1000)).toBe(true);
  costs.spent(engine, { ms: 8000, tokens: 400 });
  const tried = Array.from({ length: 6 }, () => costs.pays(engine, 400, 1000));
  expect(tried).toEqual([false, false, false, false, false, true]);
  costs.spent(engine, { ms: 500, tokens: 400 });
  expect(costs.pays(engine, 400, 1000)).toBe(true);
  expect(costs.pays(engine, 400, null)).toBe(true);
  expect(costs.pays('another', 400, 1)).toBe(true);
});
