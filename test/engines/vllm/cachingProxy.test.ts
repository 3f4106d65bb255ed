import { describe, expect, test } from 'vitest';
import { CachingProxy } from '../../fakes/cachingProxy.ts';
import { contextOf, makeRig, never, someIds, type Rig } from './rig.ts';

/** A client that reaches its server through a response cache. */
async function behind(key: 'whole body' | 'prompt'): Promise<{ rig: Rig; proxy: CachingProxy }> {
  let url = '';
  const rig = await makeRig({ engine: { connect: async () => ({ url }) } });
  const proxy = await CachingProxy.start(rig.fake.url, key);
  url = proxy.url;
  return { rig, proxy };
}

describe('a response cache in front of the server', () => {
  test('that knows a request by its whole body never knows a measured one', async () => {
    const { rig, proxy } = await behind('whole body');
    await using _ = proxy;
    const context = contextOf(someIds(65));
    await rig.engine.measure(context, never);
    await rig.engine.measure(context, never);
    await rig.fake.restart();
    expect((await rig.engine.measure(context, never)).reuse).toMatchObject({ cachedTokens: 0, serverIdle: true });
    expect(proxy.replays).toBe(0);
  });

  test('that knows it by its prompt is found out by counters that did not move: nothing is observed', async () => {
    const { rig, proxy } = await behind('prompt');
    await using _ = proxy;
    const context = contextOf(someIds(65));
    await rig.engine.measure(context, never);
    await rig.fake.restart();
    const { reuse, canary } = await rig.engine.measure(context, never);
    expect(proxy.replays).toBe(1);
    expect(reuse).toMatchObject({
      cachedTokens: null,
      cachedTokensFrom: 'none',
      serverIdle: null,
      isFromElsewhere: true,
    });
    expect(canary).toBeNull();
  });

  test('that knows it by its prompt is found out in a thaw, although the test beside it arrived and was counted', async () => {
    const { rig, proxy } = await behind('prompt');
    await using _ = proxy;
    const context = contextOf(someIds(65));
    await rig.engine.measure(context, never);
    await rig.fake.restart();
    await rig.engine.describe(never);
    await rig.engine.restore(context, never);
    const { reuse, canary } = await rig.engine.measure(context, never);
    expect(proxy.replays).toBe(1);
    expect(reuse).toMatchObject({ cachedTokens: null, cachedTokensFrom: 'none', isFromElsewhere: true });
    expect(canary).toBeNull();
  });

  test('what others have in flight leaves open where an answer came from', async () => {
    const { rig, proxy } = await behind('prompt');
    await using _ = proxy;
    const context = contextOf(someIds(65));
    await rig.engine.measure(context, never);
    rig.fake.faults.othersRunning = 1;
    expect((await rig.engine.measure(context, never)).reuse.isFromElsewhere).toBeUndefined();
  });
});
