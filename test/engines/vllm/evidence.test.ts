import { describe, expect, test } from 'vitest';
import type { KvContext } from '../../../src/core/ports/engine.ts';
import { until } from '../../support/until.ts';
import { contextOf, makeRig, never, someIds, type Rig, type RigOptions } from './rig.ts';

/** 100 tokens are 6 full blocks of 16 and a rest, so 96 can be reused. */
const floorTokens = 96;
const newContext = () => contextOf(someIds(100));
const tierCounter = (source: string): string => `vllm:prompt_tokens_cached_by_source_total{source="${source}"}`;

/** A context that the server has in its cache. */
async function cached(rig: Rig) {
  const context = newContext();
  await rig.engine.persist(context, never);
  return context;
}

describe('evidence of an honest server', () => {
  test('first 0, then the floor, from the answer itself, served by the device', async () => {
    const rig = await makeRig();
    const context = newContext();
    const first = await rig.engine.measure(context, never);
    expect(first.reuse).toMatchObject({ promptTokens: 100, cachedTokens: 0, cachedTokensFrom: 'usage', tier: null });
    const second = await rig.engine.measure(context, never);
    expect(second.reuse).toMatchObject({
      cachedTokens: floorTokens,
      cachedTokensFrom: 'usage',
      tier: 'device',
      serverIdle: true,
    });
    expect(second.reuse.counters).toMatchObject({
      'vllm:request_success_total': 1,
      'vllm:prompt_tokens_total': 100,
      [tierCounter('device')]: floorTokens,
      [tierCounter('disk')]: 0,
    });
  });

  test.each([
    ['the first claim alone, where counters confirm the others', {}, [1, 2, 1, 1]],
    ['each claim, where no counter speaks of the request', { metrics: 'no token counts' as const }, [1, 2, 2, 2]],
    ['each claim, while others use the server', { otherTraffic: true, othersRunning: 1 }, [1, 2, 2, 2]],
  ])('it is asked for what it can not have at %s', async (_, faults, expected) => {
    const rig = await makeRig({ fake: { faults } });
    const context = newContext();
    const requests: number[] = [];
    for (let time = 0; time < expected.length; time++) {
      const before = rig.fake.requestsTo('/v1/completions').length;
      const { reuse } = await rig.engine.measure(context, never);
      expect(reuse.cachedTokens).toBe(time === 0 ? 0 : floorTokens);
      requests.push(rig.fake.requestsTo('/v1/completions').length - before);
    }
    expect(requests).toEqual(expected);
  });

  test('after a restart the tier that served is named', async () => {
    const rig = await makeRig({ tier: {} });
    const context = await cached(rig);
    await rig.fake.restart();
    const { reuse } = await rig.engine.measure(context, never);
    expect(reuse).toMatchObject({ cachedTokens: floorTokens, tier: 'disk', serverIdle: true });
    expect(reuse.counters).toMatchObject({
      'vllm:prompt_tokens_by_source_total{source="local_cache_hit"}': 0,
      'vllm:kv_offload_tiering_read_bytes_total{tier="1:fs"}': 6 * 256,
      'vllm:prompt_tokens_by_source_total{source="external_kv_transfer"}': floorTokens,
      [tierCounter('disk')]: floorTokens,
    });
  });

  test('blocks of two tiers are a mixture', async () => {
    const rig = await makeRig({ tier: {}, fake: { capacityBlocks: 3 } });
    const context = await cached(rig);
    const { reuse } = await rig.engine.measure(context, never);
    expect(reuse).toMatchObject({ cachedTokens: floorTokens, tier: 'mixed' });
  });

  test('before 0.32 the coarser counter names device or external', async () => {
    const rig = await makeRig({ tier: {}, fake: { version: '0.31.0' } });
    const context = await cached(rig);
    expect((await rig.engine.measure(context, never)).reuse.tier).toBe('device');
    await rig.fake.restart();
    expect((await rig.engine.measure(context, never)).reuse).toMatchObject({
      cachedTokens: floorTokens,
      tier: 'external',
    });
  });

  test('a small cache stores the beginning of a context, and the number says so', async () => {
    const rig = await makeRig({ fake: { capacityBlocks: 4 } });
    const { reuse } = await rig.engine.measure(await cached(rig), never);
    expect(reuse.cachedTokens).toBe(64);
  });
});

describe('null is not 0', () => {
  test('without --enable-prompt-tokens-details and without counters nothing is claimed', async () => {
    const rig = await makeRig({ fake: { faults: { usageDetails: 'null', metrics: false } } });
    const { reuse } = await rig.engine.measure(await cached(rig), never);
    expect(reuse).toMatchObject({
      cachedTokens: null,
      cachedTokensFrom: 'none',
      tier: null,
      serverIdle: null,
      counters: {},
    });
  });

  test('without the flag, clean counters of an idle server speak', async () => {
    for (const version of ['0.32.0', '0.31.0']) {
      const rig = await makeRig({ fake: { version, faults: { usageDetails: 'null' } } });
      const context = await cached(rig);
      expect((await rig.engine.measure(context, never)).reuse).toMatchObject({
        cachedTokens: floorTokens,
        cachedTokensFrom: 'metrics',
      });
      expect((await rig.engine.measure(newContext(), never)).reuse).toMatchObject({
        cachedTokens: 0,
        cachedTokensFrom: 'metrics',
      });
    }
  });

  test('a zero that the server leaves out stays unknown unless the counters say it', async () => {
    const silent = await makeRig({ fake: { faults: { usageDetails: 'zero-omitted', metrics: false } } });
    expect((await silent.engine.measure(newContext(), never)).reuse.cachedTokens).toBeNull();
    const counted = await makeRig({ fake: { faults: { usageDetails: 'zero-omitted' } } });
    expect((await counted.engine.measure(newContext(), never)).reuse).toMatchObject({
      cachedTokens: 0,
      cachedTokensFrom: 'metrics',
    });
  });

  test('counters are no evidence while somebody else uses the server', async () => {
    for (const faults of [{ otherTraffic: true }, { othersRunning: 2 }]) {
      const rig = await makeRig({ fake: { faults: { usageDetails: 'null', ...faults } } });
      const { reuse } = await rig.engine.measure(await cached(rig), never);
      expect(reuse).toMatchObject({ cachedTokens: null, cachedTokensFrom: 'none', serverIdle: false, tier: null });
    }
  });

  test('with other traffic the answer’s own number still counts, but no tier is named', async () => {
    const rig = await makeRig({ fake: { faults: { otherTraffic: true } } });
    const { reuse } = await rig.engine.measure(await cached(rig), never);
    expect(reuse).toMatchObject({
      cachedTokens: floorTokens,
      cachedTokensFrom: 'usage',
      tier: 'unknown',
      serverIdle: false,
    });
  });

  test('a restart between two looks at the counters makes them worthless', async () => {
    const rig = await makeRig();
    await cached(rig);
    const before = rig.fake.requestsTo('/metrics').length;
    rig.fake.faults.http = { kind: 'silence', afterChunks: 0, path: '/v1/completions', times: 1 };
    const answer = rig.engine.measure(newContext(), never).catch((error: unknown) => error);
    await rig.fake.untilRequests('/metrics', before + 1);
    await rig.fake.untilRequests('/v1/completions', 2);
    await rig.fake.restart();
    expect(await answer).toMatchObject({ code: 'CWM-5001' });
  });
});

describe('log-probabilities that are no numbers', () => {
  test('are the server’s failure, not the caller’s, however the server tells it, and are not asked for again', async () => {
    const answers = [
      ['{"choices": [{"text": "", "logprobs": {"top_logprobs": [{"token_id:0": null, "token_id:3": null}]}}]}', 200],
      ['{"error": {"message": "Out of range float values are not JSON compliant", "code": 400}}', 400],
    ] as const;
    for (const [body, status] of answers) {
      const rig = await makeRig();
      // It has given numbers before.
      await rig.engine.measure(newContext(), never);
      rig.fake.faults.http =
        status === 200
          ? { kind: 'body', body, path: '/v1/completions' }
          : {
              kind: 'status',
              status,
              message: 'Out of range float values are not JSON compliant',
              path: '/v1/completions',
            };
      await expect(rig.engine.measure(newContext(), never)).rejects.toMatchObject({ code: 'CWM-5004' });
      expect(rig.fake.requestsTo('/v1/completions')).toHaveLength(2);
    }
  });
});

describe('lies', () => {
  test('a server that ignores the salt is caught by the same ids under another salt', async () => {
    const rig = await makeRig({ fake: { faults: { saltIgnored: true } } });
    const context = await cached(rig);
    const control = await rig.engine.measure({ ...context, salt: 'salt-2' }, never);
    expect(control.reuse.cachedTokens).toBe(floorTokens);
  });

  test('an answer that claims more reuse than clean counters saw is not believed', async () => {
    const rig = await makeRig({ fake: { faults: { usageDetails: 'claims-all' } } });
    expect((await rig.engine.measure(newContext(), never)).reuse).toMatchObject({
      cachedTokens: 0,
      cachedTokensFrom: 'metrics',
    });
  });

  test('inflated prefix-cache counters change nothing', async () => {
    const rig = await makeRig({ fake: { faults: { inflatedPrefixCounters: true, usageDetails: 'null' } } });
    expect((await rig.engine.measure(newContext(), never)).reuse.cachedTokens).toBe(0);
  });

  test('a tier that writes nothing, or loads nothing, shows as no reuse after a restart', async () => {
    for (const tier of ['writes-nothing', 'loads-nothing'] as const) {
      const rig = await makeRig({ tier: {}, fake: { faults: { tier } }, engine: { persistPatienceMs: 100 } });
      const context = await cached(rig);
      await rig.fake.restart();
      expect((await rig.engine.measure(context, never)).reuse.cachedTokens).toBe(0);
    }
  });

  test('a tier that counts blocks as reused and loads zeros gives another canary', async () => {
    const rig = await makeRig({ tier: {}, fake: { faults: { tier: 'claims-only' } } });
    const context = await cached(rig);
    const frozen = await rig.engine.measure(context, never);
    await rig.fake.restart();
    const thawed = await rig.engine.measure(context, never);
    expect(thawed.reuse.cachedTokens).toBe(floorTokens);
    expect(thawed.canary).not.toEqual(frozen.canary);
  });

  test('other weights under the same name reuse the old blocks and give another canary', async () => {
    const rig = await makeRig({ tier: {} });
    const context = await cached(rig);
    const frozen = await rig.engine.measure(context, never);
    await rig.fake.restart({ weights: 'weights-2' });
    const thawed = await rig.engine.measure(context, never);
    expect(thawed.reuse.cachedTokens).toBe(floorTokens);
    expect(thawed.canary).not.toEqual(frozen.canary);
  });

  test('eviction between two calls shows as no reuse', async () => {
    const rig = await makeRig({ fake: { faults: { evictsAfterEachRequest: true } } });
    expect((await rig.engine.measure(await cached(rig), never)).reuse.cachedTokens).toBe(0);
  });

  test('a new random hash seed after a restart makes every file unreachable, and the number says so', async () => {
    const rig = await makeRig({ tier: {}, fake: { faults: { randomSeedAfterRestart: true } } });
    const context = await cached(rig);
    await rig.fake.restart();
    expect((await rig.engine.measure(context, never)).reuse.cachedTokens).toBe(0);
  });

  test('a proxy that changes the prompt on its way is refused', async () => {
    const rig = await makeRig();
    await rig.engine.describe(never);
    const body = '{"choices": [{"text": "x", "prompt_token_ids": [1, 2]}], "usage": {"prompt_tokens": 2}}';
    rig.fake.faults.http = { kind: 'body', body, path: '/v1/completions' };
    await expect(rig.engine.persist(newContext(), never)).rejects.toMatchObject({ code: 'CWM-5007' });
  });
});

test('a test of belief whose answer counts another prompt than was sent is none, and the claim does not count', async () => {
  const rig = await makeRig({ fake: { faults: { returnsTokenIds: false } } });
  const context = contextOf(someIds(30));
  await rig.engine.persist(context, never);
  rig.fake.faults.keepsLastTokens = 32;
  expect((await rig.engine.measure(context, never)).reuse).toMatchObject({ promptTokens: 30, cachedTokens: null });
  rig.fake.faults.keepsLastTokens = null;
  expect((await rig.engine.measure(context, never)).reuse).toMatchObject({ promptTokens: 30, cachedTokens: 16 });
});

describe('a server that was honest, and raises its claims and its counters alike from now on', () => {
  const lying = { usageDetails: 'claims-all', prefixCaching: false, countsClaims: true } as const;

  const turned = async (options: RigOptions = {}): Promise<{ rig: Rig; context: KvContext }> => {
    const rig = await makeRig(options);
    const context = await cached(rig);
    expect((await rig.engine.measure(context, never)).reuse).toMatchObject({ cachedTokens: floorTokens });
    Object.assign(rig.fake.faults, lying);
    return { rig, context };
  };

  test('is tested by each thaw', async () => {
    const { rig, context } = await turned();
    await rig.engine.restore(context, never);
    expect((await rig.engine.measure(context, never)).reuse).toMatchObject({ cachedTokens: null });
  });

  test.each([304, 3_000])('F3 is caught by six thaws of six over %d tokens, and in none believed', async (tokens) => {
    for (let time = 0; time < 6; time++) {
      const rig = await makeRig({ fake: { faults: { maxModelLen: 8_192 }, capacityBlocks: 400 } });
      const context = contextOf(someIds(tokens));
      await rig.engine.persist(context, never);
      const claim = async () => {
        await rig.engine.restore(context, never);
        return (await rig.engine.measure(context, never)).reuse.cachedTokens;
      };
      expect(await claim()).toBe(Math.floor((tokens - 1) / 16) * 16);
      Object.assign(rig.fake.faults, lying);
      expect(await claim()).toBeNull();
    }
  });

  test('F3 that claims a share of each prompt is caught, where this is all whole blocks of a context and none of a shorter one', async () => {
    const { rig, context } = await turned({ fake: { faults: { claimedShare: 0.9 } } });
    const short = contextOf(context.ids.slice(0, 40));
    await rig.engine.restore(short, never);
    expect((await rig.engine.measure(short, never)).reuse).toMatchObject({ promptTokens: 40, cachedTokens: null });
  });

  test('is tested after an hour', async () => {
    let nowMs = 0;
    const clock = { now: () => new Date(0), elapsedMs: () => nowMs };
    const { rig, context } = await turned({ engine: { clock } });
    nowMs = 3_600_001;
    expect((await rig.engine.measure(context, never)).reuse).toMatchObject({ cachedTokens: null });
  });

  test('F3 is tested when its counters jumped by more than a whole context that this client did not send', async () => {
    const { rig, context } = await turned();
    rig.fake.jumpCounters(1_000_000);
    expect((await rig.engine.measure(context, never)).reuse).toMatchObject({ cachedTokens: null });
  });

  test('F3 is not tested again within the hour while its counters move as its requests do, and once after it', async () => {
    let nowMs = 0;
    const clock = { now: () => new Date(0), elapsedMs: () => nowMs };
    const rig = await makeRig({ engine: { clock } });
    const context = await cached(rig);
    await rig.engine.measure(context, never);
    const asked = (): number => rig.fake.requestsTo('/v1/completions').length;
    const measured = async (): Promise<number> => {
      const before = asked();
      expect((await rig.engine.measure(context, never)).reuse.cachedTokens).toBe(floorTokens);
      return asked() - before;
    };
    expect(await measured()).toBe(1);
    nowMs += 3_600_000;
    expect(await measured()).toBe(1);
    nowMs += 1;
    expect(await measured()).toBe(2);
    expect(await measured()).toBe(1);
    rig.fake.jumpCounters(1_000_000);
    expect(await measured()).toBe(2);
  });

  test('F3 is tested after a restart', async () => {
    const { rig, context } = await turned();
    await rig.fake.restart(lying);
    expect((await rig.engine.measure(context, never)).reuse).toMatchObject({ cachedTokens: null });
  });

  test('is tested when its counters went back', async () => {
    const { rig, context } = await turned();
    rig.fake.resetCounters();
    expect((await rig.engine.measure(context, never)).reuse).toMatchObject({ cachedTokens: null });
  });
});

describe('the test of a thaw', () => {
  test('is sent right behind the claim, is not awaited before it, and is no part of what the counters say of the claim', async () => {
    const held: (() => void)[] = [];
    const rig = await makeRig({ fake: { schedule: (_, answer) => void held.push(answer) } });
    const context = await cached(rig);
    await rig.engine.restore(context, never);
    rig.fake.faults.http = { kind: 'slow', delayMs: 1, path: '/v1/completions' };
    const before = rig.fake.requestsTo('/v1/completions').length;
    const measuring = rig.engine.measure(context, never);
    await rig.fake.untilRequests('/v1/completions', before + 2);
    await until('both wait', () => held.length === 2);
    const prompts = rig.fake.requestsTo('/v1/completions').slice(before);
    expect(prompts.map(({ body }) => (body as { prompt: number[] }).prompt.length)).toEqual([100, 33]);
    for (const answer of held) answer();
    const { reuse, isAccompanied } = await measuring;
    expect(isAccompanied).toBe(true);
    expect(reuse).toMatchObject({
      cachedTokens: floorTokens,
      cachedTokensFrom: 'usage',
      tier: 'device',
      serverIdle: true,
    });
    expect(reuse.counters).toMatchObject({
      'vllm:request_success_total': 1,
      'vllm:prompt_tokens_total': 100,
      'vllm:prompt_tokens_by_source_total{source="local_compute"}': 100 - floorTokens,
      [tierCounter('device')]: floorTokens,
    });
    expect(rig.fake.requestsTo('/v1/completions')).toHaveLength(before + 2);
  });

  test('where it fails, it is asked again behind the claim', async () => {
    const rig = await makeRig();
    const context = await cached(rig);
    await rig.engine.restore(context, never);
    const before = rig.fake.requestsTo('/v1/completions').length;
    rig.fake.faults.http = { kind: 'status', status: 500, path: '/v1/completions', after: 1, times: 1 };
    const { reuse } = await rig.engine.measure(context, never);
    expect(rig.fake.requestsTo('/v1/completions')).toHaveLength(before + 3);
    expect(reuse.cachedTokens).toBe(floorTokens);
  });
});

describe('canary', () => {
  test('a computed prompt gives slightly other log-probabilities than a cached one, two cached ones the same', async () => {
    const rig = await makeRig();
    const context = newContext();
    const [computed, first, second] = [
      await rig.engine.measure(context, never),
      await rig.engine.measure(context, never),
      await rig.engine.measure(context, never),
    ];
    expect(first.canary).toEqual(second.canary);
    expect(first.canary).not.toEqual(computed.canary);
    expect(first.canary?.tokenId).toBe(computed.canary?.tokenId);
    expect(first.canary?.topLogprobs).toHaveLength(5);
    const logprobs = first.canary?.topLogprobs.map(({ logprob }) => logprob) ?? [];
    expect(logprobs).toEqual([...logprobs].sort((a, b) => b - a));
    expect(first.canary?.topLogprobs[0]?.token).toBe(`token_id:${first.canary?.tokenId}`);
  });

  test('the canary’s token is known by its id, also where the server returns no ids', async () => {
    const rig = await makeRig({ fake: { faults: { returnsTokenIds: false } } });
    const { canary } = await rig.engine.measure(newContext(), never);
    expect(canary?.topLogprobs[0]?.token).toBe(`token_id:${canary?.tokenId}`);
  });
});

describe('token ids of a chat', () => {
  const messages = [{ role: 'user', content: 'Grüße, 世界' }] as const;
  const request = { messages, salt: 's', maxTokens: 4, temperature: 0, addGenerationPrompt: true };

  test('are those that the server returned', async () => {
    const { engine } = await makeRig();
    const answer = await engine.generate(request, () => undefined, never);
    expect(answer.idsSource).toBe('engine');
    expect(answer.promptIds).toEqual(await engine.tokenize(messages, true, never));
    expect(answer.outputIds).toHaveLength(4);
    expect(answer.reuse).toMatchObject({
      promptTokens: answer.promptIds.length,
      cachedTokens: 0,
      cachedTokensFrom: 'usage',
    });
  });

  test('are worked out by /tokenize where the server returns none, and marked so', async () => {
    const { engine } = await makeRig({ fake: { faults: { returnsTokenIds: false } } });
    const answer = await engine.generate(request, () => undefined, never);
    expect(answer.idsSource).toBe('tokenize');
    expect(answer.promptIds).toEqual(await engine.tokenize(messages, true, never));
    expect(answer.outputIds).toHaveLength(4);
  });

  test.each(['some missing', 'missing and counted so', 'of another text'] as const)(
    'F4 are worked out from the text, and marked so, where those of the stream are not its ids: %s',
    async (streamedIds) => {
      const { engine } = await makeRig({ fake: { faults: { streamedIds } } });
      const answer = await engine.generate({ ...request, maxTokens: 17 }, () => undefined, never);
      expect(answer.idsSource).toBe('tokenize');
      expect(answer.outputIds).toEqual([...Buffer.from(answer.text)]);
    },
  );

  test('stay empty where the server has no /tokenize either; the answer itself is not lost', async () => {
    const { engine } = await makeRig({ fake: { faults: { returnsTokenIds: false, hasTokenize: false } } });
    const answer = await engine.generate(request, () => undefined, never);
    expect(answer).toMatchObject({ idsSource: 'tokenize', promptIds: [], outputIds: [] });
    expect(answer.text).toHaveLength(4);
  });

  test('a template that drifts gives other ids for the same messages', async () => {
    const { engine, fake } = await makeRig();
    fake.faults.templateLine = 'Today is Monday.';
    const monday = await engine.generate(request, () => undefined, never);
    fake.faults.templateLine = 'Today is Tuesday.';
    const tuesday = await engine.generate(request, () => undefined, never);
    expect(tuesday.promptIds).not.toEqual(monday.promptIds);
    expect(tuesday.reuse.cachedTokens).toBeLessThan(monday.promptIds.length - 16);
  });
});
