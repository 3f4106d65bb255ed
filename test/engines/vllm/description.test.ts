import { describe, expect, test } from 'vitest';
import { modelDifference } from '../../../src/core/identity.ts';
import { vllmNotices } from '../../../src/engines/vllm/notices.ts';
import { isAtLeast } from '../../../src/engines/vllm/versionNumber.ts';
import { contextOf, makeRig, never, someIds } from './rig.ts';

describe('what a server is', () => {
  test('vLLM: version, model, block size and how it names blocks', async () => {
    const { engine } = await makeRig({ fake: { blockTokens: 32, faults: { model: 'tiny', maxModelLen: 4096 } } });
    expect(await engine.describe(never)).toEqual({
      kind: 'vllm',
      takesTokenIds: true,
      isUntried: false,
      models: [{ id: 'tiny', use: 'unknown' }],
      version: '0.32.0',
      model: { id: 'tiny', root: 'tiny', maxModelLen: 4096, fingerprint: null },
      blockTokens: 32,
      hashProfile: { algorithm: 'sha256_cbor', seed: 'vllm-none-hash', saltEncoding: 'tagged' },
      notices: [],
    });
  });

  test('a LoRA adapter is its base model and the place it came from: under the same name, another one is another model', async () => {
    const { engine, fake } = await makeRig({ fake: { faults: { adapterFrom: '/loras/one' } } });
    const { model: one } = await engine.describe(never);
    fake.faults.adapterFrom = '/loras/two';
    const { model: two } = await engine.describe(never);
    expect([one.id, one.adapters]).toEqual([two.id, expect.stringMatching(/^lora-/)]);
    expect(modelDifference(one, two)).toContain('LoRA adapters');
    expect(modelDifference(one, one)).toBeNull();
  });

  test('an older vLLM names salted blocks otherwise and is told what the next update costs', async () => {
    const { engine } = await makeRig({ fake: { version: '0.30.1', hashAlgorithm: 'sha256' } });
    const description = await engine.describe(never);
    expect(description.hashProfile).toMatchObject({ algorithm: 'sha256', saltEncoding: 'bare' });
    expect(description.notices.join(' ')).toContain('0.31');
  });

  test('a server with /v1 alone is an OpenAI server that works with what it offers', async () => {
    const { engine } = await makeRig({
      fake: {
        faults: { hasVersion: false, metrics: false, returnsTokenIds: false, hasTokenize: false, usageDetails: 'null' },
      },
    });
    expect(await engine.describe(never)).toMatchObject({
      kind: 'openai',
      version: 'unknown',
      blockTokens: null,
      hashProfile: null,
    });
    const { reuse, canary } = await engine.measure(contextOf(someIds(50)), never);
    expect(reuse.cachedTokens).toBeNull();
    expect(canary).not.toBeNull();
  });

  test('a vLLM without /metrics is still vLLM, of unknown block size', async () => {
    const { engine } = await makeRig({ fake: { faults: { metrics: false } } });
    const description = await engine.describe(never);
    expect(description).toMatchObject({ kind: 'vllm', blockTokens: null, hashProfile: null });
    expect(description.notices.join(' ')).toContain('/metrics');
  });

  test('is asked for again with each describe, but not with each request', async () => {
    const rig = await makeRig();
    await rig.engine.describe(never);
    await rig.engine.measure(contextOf(someIds(20)), never);
    await rig.engine.measure(contextOf(someIds(20)), never);
    expect(rig.fake.requestsTo('/v1/models')).toHaveLength(1);
    await rig.fake.restart({ model: 'other' });
    expect((await rig.engine.describe(never)).model.id).toBe('other');
  });

  test('is asked for again by the next request after the server was lost', async () => {
    const rig = await makeRig();
    await rig.engine.describe(never);
    await rig.fake.stop();
    await expect(rig.engine.measure(contextOf(someIds(20)), never)).rejects.toMatchObject({ code: 'CWM-5001' });
    await rig.fake.restart({ model: 'other' });
    await rig.engine.measure(contextOf(someIds(20)), never);
    expect(rig.fake.requestsTo('/v1/completions').at(-1)?.body).toMatchObject({ model: 'other' });
  });

  test('an engine at a new address is asked what it is', async () => {
    const [first, second] = [await makeRig(), await makeRig({ fake: { faults: { model: 'second' } } })];
    let url = first.fake.url;
    const { engine } = await makeRig({ engine: { connect: async () => ({ url }) } });
    await engine.measure(contextOf(someIds(20)), never);
    url = second.fake.url;
    await engine.measure(contextOf(someIds(20)), never);
    expect(second.fake.requestsTo('/v1/completions')[0]?.body).toMatchObject({ model: 'second' });
  });
});

describe('versions', () => {
  test('are compared as numbers; what is no version is unknown', () => {
    expect(isAtLeast('0.9.2', 0, 31)).toBe(false);
    expect(isAtLeast('0.31.0', 0, 31)).toBe(true);
    expect(isAtLeast('0.31.0rc1+cpu', 0, 31, 1)).toBe(false);
    expect(isAtLeast('1.0', 0, 31)).toBe(true);
    expect(isAtLeast('dev', 0, 31)).toBeNull();
  });

  const config: Record<string, string> = { enable_prefix_caching: 'True', prefix_caching_hash_algo: 'sha256' };
  const metrics = { cacheConfig: config, offloads: false, hasLmcacheInside: false };
  /** What each note is recognised by. */
  const notes = {
    counts: 'may not report cached tokens',
    deletion: 'can hang when block files are deleted',
    seed: 'PYTHONHASHSEED',
    salt: 'windows have to be frozen again',
  };
  const all = Object.keys(notes) as (keyof typeof notes)[];
  const table: readonly (readonly [version: string, expected: readonly (keyof typeof notes)[]])[] = [
    ['0.9.2', all],
    ['0.22.1', all],
    ['0.23.0', ['deletion', 'seed', 'salt']],
    ['0.25.1', ['deletion', 'seed', 'salt']],
    ['0.26.0', ['seed', 'salt']],
    ['0.27.1', ['seed', 'salt']],
    ['0.28.0', ['salt']],
    ['0.30.0', ['salt']],
    ['0.31.0', []],
    ['0.32.0', []],
    ['0.32.1rc1+cpu', []],
    ['1.0.0', []],
    ['dev', []],
    ['unknown', []],
  ];

  test('each version is told what applies to it, a current or unreadable one nothing', () => {
    for (const [version, expected] of table) {
      const told = vllmNotices(version, metrics);
      expect(told, version).toHaveLength(expected.length);
      for (const note of all) {
        const isTold = told.some((notice) => notice.includes(notes[note]));
        expect(isTold, `${version}: ${note}`).toBe(expected.includes(note));
      }
    }
  });

  test('each setting that costs KV is told with what to change, whatever the version', () => {
    const told = (change: Partial<typeof metrics>): string =>
      vllmNotices('0.32.0', { ...metrics, ...change }).join(' ');
    expect(told({ cacheConfig: { ...config, enable_prefix_caching: 'False' } })).toContain('--enable-prefix-caching');
    expect(told({ cacheConfig: { ...config, prefix_caching_hash_algo: 'xxhash' } })).toContain('sha256_cbor');
    expect(told({ hasLmcacheInside: true })).toContain('isolation is not promised');
    const hybrid = { ...config, mamba_block_size: '448' };
    expect(told({ cacheConfig: hybrid, offloads: true })).toContain('without ever loading it');
    expect(told({ cacheConfig: hybrid })).toBe('');
    expect(told({ cacheConfig: { ...config, mamba_block_size: 'None' }, offloads: true })).toBe('');
    expect(vllmNotices('0.32.0', null).join(' ')).toContain('/metrics');
  });
});
