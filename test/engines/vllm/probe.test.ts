import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Capabilities, CapabilityName } from '../../../src/protocol/schemas/capabilities.ts';
import type { FakeFaults, HttpFault } from '../../fakes/fakeFaults.ts';
import type { FakeVllmOptions } from '../../fakes/fakeVllm.ts';
import { completions, failure, makeRig, never, type Rig } from './rig.ts';

const itemOf = ({ items }: Capabilities, name: CapabilityName) => {
  const item = items.find((item) => item.name === name);
  if (!item) throw new Error(`nothing was found about ${name}`);
  return item;
};
const stateOf = (found: Capabilities, name: CapabilityName): string => itemOf(found, name).state;

async function probeWith(faults: Partial<FakeFaults>, fake: Omit<FakeVllmOptions, 'faults' | 'tier'> = {}) {
  const rig = await makeRig({ fake: { ...fake, faults } });
  return { rig, found: await rig.engine.probe(never) };
}

const filesIn = ({ rootDir }: Rig): string[] =>
  readdirSync(rootDir, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.bin'));

const prompts = ({ fake }: Rig): number[][] =>
  fake.requestsTo(completions).map(({ body }) => (body as { prompt: number[] }).prompt);
const sentTokens = (rig: Rig): number => prompts(rig).reduce((sum, { length }) => sum + length, 0);

describe('a server that claims reuse that cannot be', () => {
  test('is believed in nothing once a probe has caught it, until another one is there', async () => {
    const { rig } = await probeWith({ usageDetails: 'claims-all', metrics: false });
    const context = { ids: Array.from({ length: 100 }, (_, at) => 32 + at), salt: 's', handle: null };
    expect((await rig.engine.measure(context, never)).reuse).toMatchObject({
      cachedTokens: null,
      cachedTokensFrom: 'none',
    });
  });
});

describe('what a probe costs', () => {
  test('four requests at most, and never more than 4 × (3·B + 1) prompt tokens', async () => {
    for (const blockTokens of [1, 8, 16, 128, 800]) {
      const { rig, found } = await probeWith({}, { blockTokens });
      expect(prompts(rig)).toHaveLength(4);
      expect(sentTokens(rig), `B = ${blockTokens}`).toBeLessThanOrEqual(4 * (3 * blockTokens + 1));
      expect(found.cost).toMatchObject({ requests: 4, promptTokens: sentTokens(rig) });
      expect(itemOf(found, 'block-size').found).toMatch(
        RegExp(`^${blockTokens} tokens?, as the server tells, and as seen`),
      );
    }
  });

  test('a block size that is not told, or that no server has, is taken for 16, and that is said', async () => {
    const untold: Partial<FakeFaults>[] = [
      { metrics: false },
      ...['1000000000', '0', '-3', '1.5', 'None', ''].map((toldBlockTokens) => ({ toldBlockTokens })),
    ];
    for (const faults of untold) {
      const { rig, found } = await probeWith(faults);
      expect(sentTokens(rig), JSON.stringify(faults)).toBeLessThanOrEqual(4 * 49);
      expect(itemOf(found, 'block-size').found).toContain('16 tokens a block, since the server does not tell');
    }
  });

  test('its prompts fit into the model, however short its context is', async () => {
    for (const [maxModelLen, longest] of [
      [60, 49],
      [40, 33],
      [20, 17],
      [17, 1],
      [3, 1],
    ] as const) {
      const { rig, found } = await probeWith({ maxModelLen });
      expect(Math.max(...prompts(rig).map(({ length }) => length)), `${maxModelLen}`).toBe(longest);
      expect(found.items.filter(({ found }) => /too long|CWM-7011/.test(found))).toEqual([]);
      expect(stateOf(found, 'reuse')).toBe(longest > 1 ? 'yes' : 'unknown');
    }
  });

  test('a remembered probe asks the model nothing, and calls at the same time share one', async () => {
    const rig = await makeRig();
    const [first, second] = await Promise.all([rig.engine.probe(never), rig.engine.probe(never)]);
    await rig.engine.describe(never);
    expect(second).toEqual(first);
    expect(await rig.engine.probe(never)).toEqual(first);
    expect(prompts(rig)).toHaveLength(4);
  });

  test('another model, version or start of the process is probed again', async () => {
    const rig = await makeRig();
    await rig.engine.probe(never);
    await rig.fake.restart();
    await rig.engine.probe(never);
    expect(prompts(rig)).toHaveLength(8);
    rig.fake.faults.model = 'another';
    await rig.engine.probe(never);
    expect(prompts(rig)).toHaveLength(12);
    rig.fake.faults.hasVersion = false;
    await rig.engine.probe(never);
    expect(prompts(rig)).toHaveLength(16);
  });

  test('one block of it goes into a file tier, to see that it can; that file is deleted, and others that appear nevertheless', async () => {
    for (const keepsAll of [false, true]) {
      const rig = await makeRig({ tier: {}, fake: { faults: { ignoresMaxOffload: keepsAll } } });
      const found = await rig.engine.probe(never);
      expect(stateOf(found, 'block-files')).toBe('yes');
      expect(filesIn(rig)).toEqual([]);
      const metrics = await (await fetch(`${rig.fake.url}/metrics`)).text();
      const written = Number(/tiering_write_bytes\S* (\d+)/.exec(metrics)?.[1]);
      expect(written / 256).toBe(keepsAll ? 6 : 1);
    }
  });

  test('a tier whose files take several blocks is tried with a file of that many, as far as the prompt has them', async () => {
    const rig = await makeRig({ tier: { blocksPerFile: 3 } });
    // The server's record is there before its first file is.
    expect(readdirSync(rig.rootDir).filter((name) => name.endsWith('_r0'))).toEqual([]);
    expect(stateOf(await rig.engine.probe(never), 'block-files')).toBe('yes');
    expect(filesIn(rig)).toEqual([]);
    const metrics = await (await fetch(`${rig.fake.url}/metrics`)).text();
    expect(Number(/tiering_write_bytes\S* (\d+)/.exec(metrics)?.[1])).toBe(3 * 256);

    const silent = await makeRig({ tier: { blocksPerFile: 3 }, fake: { faults: { tier: 'writes-nothing' } } });
    expect(stateOf(await silent.engine.probe(never), 'block-files')).toBe('no');
    expect(silent.pauses.length).toBeGreaterThan(0);
  });

  test('a tier whose files take more blocks than the prompt has is not known, and said so; it was not waited for', async () => {
    const rig = await makeRig({ tier: { blocksPerFile: 4 } });
    const found = await rig.engine.probe(never);
    expect(itemOf(found, 'block-files')).toMatchObject({
      state: 'unknown',
      found: expect.stringContaining('takes 4 blocks, which is more than a test prompt has'),
    });
    expect(rig.pauses).toEqual([]);
  });

  test('a tier without a record whose file does not appear is not known: how many blocks a file takes, nobody says', async () => {
    for (const faults of [{ tier: 'writes-nothing' }, {}] as const) {
      const rig = await makeRig({ tier: {}, fake: { faults } });
      const config = readdirSync(rig.rootDir, { recursive: true, encoding: 'utf8' }).find((name) =>
        name.endsWith('config.json'),
      );
      rmSync(join(rig.rootDir, config ?? ''));
      const isThere = faults.tier === undefined;
      const found = itemOf(await rig.engine.probe(never), 'block-files');
      expect(found?.state).toBe(isThere ? 'yes' : 'unknown');
      if (!isThere) expect(`${found?.found} ${found?.remedy}`).toMatch(/config\.json .* root_dir/);
    }
  });

  test('a tier with a record that does not say how many blocks a file takes is not known either, and nobody looks for another root_dir', async () => {
    const rig = await makeRig({ tier: {}, fake: { faults: { tier: 'writes-nothing' } } });
    const config = readdirSync(rig.rootDir, { recursive: true, encoding: 'utf8' }).find((name) =>
      name.endsWith('config.json'),
    );
    writeFileSync(join(rig.rootDir, config ?? ''), '{}');
    expect(itemOf(await rig.engine.probe(never), 'block-files')).toMatchObject({
      state: 'unknown',
      found: expect.stringContaining('do not say how many blocks a file takes'),
      remedy: expect.stringMatching(/^Give each server a root_dir of its own/),
    });
  });

  test('a tier that writes nothing keeps nothing over a restart, and is asked again until it does', async () => {
    const rig = await makeRig({ tier: {}, fake: { faults: { tier: 'writes-nothing' } } });
    for (const time of [1, 2]) {
      const found = await rig.engine.probe(never);
      for (const name of ['block-files', 'persistence'] as const)
        expect(itemOf(found, name), `${name}, ${time}`).toMatchObject({
          state: 'no',
          found: expect.stringContaining('stored nothing of a test prompt'),
        });
    }
    rig.fake.faults.tier = 'works';
    expect(stateOf(await rig.engine.probe(never), 'persistence')).toBe('yes');
  });

  test('a tier that stops writing is found out by the next probe after a minute', async () => {
    let nowMs = 0;
    const clock = { now: () => new Date(0), elapsedMs: () => nowMs };
    const rig = await makeRig({ tier: {}, engine: { clock } });
    expect(stateOf(await rig.engine.probe(never), 'persistence')).toBe('yes');
    rig.fake.faults.tier = 'writes-nothing';
    nowMs += 60_001;
    expect(stateOf(await rig.engine.probe(never), 'persistence')).toBe('no');
  });

  test('S0-43 an abort ends it with CWM-6003, before it began and in the middle', async () => {
    const rig = await makeRig({ fake: { faults: { http: { kind: 'silence', afterChunks: 0, path: completions } } } });
    expect(await failure(rig.engine.probe(AbortSignal.abort()))).toMatchObject({ code: 'CWM-6003' });
    const controller = new AbortController();
    const probed = failure(rig.engine.probe(controller.signal));
    await rig.fake.untilRequests(completions, 1);
    controller.abort();
    expect(await probed).toMatchObject({ code: 'CWM-6003' });
  });
});

describe('what a probe finds', () => {
  test('everything that a current vLLM with a file tier and events has', async () => {
    const rig = await makeRig({ tier: {}, events: true });
    const found = await rig.engine.probe(never);
    expect(found.items.filter(({ state, remedy }) => state !== 'yes' || remedy !== '')).toEqual([]);
    expect(found.blockTokens).toBe(16);
  });

  test('a folder that is there but not the server’s proves no file', async () => {
    const rig = await makeRig({ engine: { blockFiles: { rootDir: import.meta.dirname } } });
    const found = await rig.engine.probe(never);
    expect(stateOf(found, 'block-files')).toBe('unknown');
    expect(stateOf(found, 'persistence')).toBe('no');
  });

  test('a server whose URL names no events: the flags, or what its own command line names', async () => {
    const { found } = await probeWith({});
    expect(itemOf(found, 'block-events')).toMatchObject({
      state: 'no',
      remedy: expect.stringMatching(/--kv-events-config.*"endpoint":"ipc:\/\/\/PATH".*#events=ipc:\/\/\/PATH/),
    });
    const rig = await makeRig({ engine: { offeredEvents: 'ipc:///run/vllm.sock' } });
    expect(itemOf(await rig.engine.probe(never), 'block-events')).toMatchObject({
      state: 'no',
      remedy: "Add #events=ipc:///run/vllm.sock to the engine's URL.",
    });
  });

  test('events that cannot be read, name no reuse, or are of one rank of several', async () => {
    const unreadable = { start: () => undefined, ready: async () => 'connect ENOENT /x', close: () => undefined };
    const lost = await makeRig({ engine: { events: async () => unreadable } });
    const eventsOf = async ({ engine }: Rig) => itemOf(await engine.probe(never), 'block-events');
    expect(await eventsOf(lost)).toMatchObject({
      state: 'no',
      found: 'The events cannot be read: connect ENOENT /x.',
      remedy: expect.stringContaining('--kv-events-config'),
    });
    const older = await makeRig({ events: true, fake: { faults: { events: 'not of reuse' } } });
    expect(await eventsOf(older)).toMatchObject({ state: 'no', remedy: expect.stringContaining('0.32') });
    expect((await eventsOf(older)).state).toBe('no');
    const several = await makeRig({ events: true, fake: { faults: { ranks: 2 } } });
    expect(await eventsOf(several)).toMatchObject({ state: 'no', found: expect.stringContaining('2 ranks') });
  });

  /** What each lie or lack makes of the capabilities that it is about, and what has to be said. */
  const cases: readonly (readonly [
    lie: string,
    faults: Partial<FakeFaults>,
    states: Partial<Record<CapabilityName, string>>,
    words?: readonly [CapabilityName, string | RegExp],
  ])[] = [
    [
      'counts are not told, and read from the counters',
      { usageDetails: 'null' },
      { 'reuse-told': 'no', reuse: 'yes', isolation: 'yes', 'block-size': 'yes' },
      ['reuse-told', '--enable-prompt-tokens-details'],
    ],
    [
      'counts are not told, and others use the server',
      { usageDetails: 'null', otherTraffic: true },
      { 'reuse-told': 'no', reuse: 'unknown', isolation: 'unknown', 'block-size': 'yes' },
      ['reuse', '--enable-prompt-tokens-details'],
    ],
    [
      'neither counts nor counters: null is not 0',
      { usageDetails: 'null', metrics: false },
      { 'reuse-told': 'no', reuse: 'unknown', isolation: 'unknown', 'block-size': 'unknown', insight: 'unknown' },
      ['isolation', '--enable-prompt-tokens-details'],
    ],
    [
      'a 0 is left out (vllm#44377), so that an absent count proves nothing about the salt',
      { usageDetails: 'zero-omitted', metrics: false },
      { 'reuse-told': 'yes', reuse: 'yes', isolation: 'unknown', 'block-size': 'yes' },
      ['reuse-told', 'vllm#44377'],
    ],
    [
      'full reuse is claimed of what was never sent',
      { usageDetails: 'claims-all', metrics: false },
      { 'reuse-told': 'no', reuse: 'unknown', isolation: 'unknown', 'block-size': 'unknown' },
      ['reuse-told', 'had never been sent'],
    ],
    [
      'full reuse is claimed, and the counters know better',
      { usageDetails: 'claims-all' },
      { 'reuse-told': 'no', reuse: 'yes', isolation: 'yes', 'block-size': 'yes' },
    ],
    [
      'the salt is dropped on the way',
      { saltIgnored: true },
      { isolation: 'no', reuse: 'yes' },
      ['isolation', /^32 of 48 tokens .* The server, or something before it, ignores the cache salt: others who know/],
    ],
    [
      'a connector ignores the salt',
      { connector: 'ExampleConnector' },
      { isolation: 'no', reuse: 'yes', persistence: 'unknown' },
      [
        'isolation',
        'The connector ignores the cache salt: others who know the text may hit your KV; isolation is not promised.',
      ],
    ],
    [
      'LMCache runs inside the server, whose pieces are longer than the probe',
      { connector: 'LMCacheConnectorV1', hasLmcacheInside: true },
      { isolation: 'no' },
      ['isolation', 'LMCacheMPConnector'],
    ],
    [
      'a server in development mode names such a connector',
      { connector: 'LMCacheConnectorV1', devMode: true },
      { isolation: 'no', persistence: 'unknown' },
      ['isolation', 'The connector (LMCacheConnectorV1) ignores the cache salt'],
    ],
    [
      'a connector is at work of which nothing is known',
      { connector: 'SomebodysConnector' },
      { isolation: 'unknown', persistence: 'unknown' },
      ['isolation', 'whether it heeds the salt was not seen'],
    ],
    [
      'a connector keeps apart what vLLM does',
      { connector: 'SimpleCPUOffloadConnector', devMode: true },
      { isolation: 'yes' },
    ],
    [
      'prefix caching is off',
      { prefixCaching: false },
      { reuse: 'no', isolation: 'unknown', 'reuse-told': 'yes' },
      ['reuse', '--enable-prefix-caching'],
    ],
    [
      'others push everything out of the cache',
      { evictsAfterEachRequest: true },
      { reuse: 'no', isolation: 'unknown' },
    ],
    ['prefix counters are inflated', { inflatedPrefixCounters: true }, { reuse: 'yes', isolation: 'yes' }],
    ['no ids are returned', { returnsTokenIds: false }, { 'token-ids': 'no' }, ['token-ids', 'return_token_ids']],
    ['there is no /tokenize', { hasTokenize: false }, { tokenizer: 'no', reuse: 'yes', 'token-ids': 'yes' }],
    ['there are no log-probabilities', { givesLogprobs: false }, { canary: 'no' }, ['canary', '--max-logprobs']],
    ['there is no tier', {}, { persistence: 'no', 'block-files': 'no' }, ['persistence', '--kv-transfer-config']],
    [
      'the block size is told too small',
      { toldBlockTokens: '8' },
      { 'block-size': 'unknown', reuse: 'yes' },
      ['block-size', 'The server tells 8 tokens, but what it reused came in multiples of 16 tokens.'],
    ],
    [
      'it is no vLLM and shows nothing',
      { hasVersion: false, metrics: false, hasTokenize: false, returnsTokenIds: false, usageDetails: 'null' },
      { ready: 'yes', reuse: 'unknown', 'reuse-told': 'no', persistence: 'unknown', tokenizer: 'no' },
    ],
  ];
  for (const [lie, faults, states, words] of cases) {
    test(lie, async () => {
      const { found } = await probeWith(faults);
      for (const [name, state] of Object.entries(states))
        expect(stateOf(found, name as CapabilityName), name).toBe(state);
      if (!words) return;
      const { found: sentence, remedy } = itemOf(found, words[0]);
      const said = `${sentence} ${remedy}`;
      if (words[1] instanceof RegExp) expect(said).toMatch(words[1]);
      else expect(said).toContain(words[1]);
    });
  }

  test('a block size that is not told is found by the step of reuse, and the description has it from then on', async () => {
    for (const blockTokens of [1, 2, 8, 16, 24, 32, 48]) {
      const { rig, found } = await probeWith({ metrics: false }, { blockTokens });
      expect(found.blockTokens).toBe(blockTokens);
      expect((await rig.engine.describe(never)).blockTokens).toBe(blockTokens);
    }
    // With 48 tokens at hand, 10, 20 and 40 look alike, and of 128 nothing is reused.
    for (const [blockTokens, reuse] of [
      [20, 'yes'],
      [128, 'unknown'],
    ] as const) {
      const { found } = await probeWith({ metrics: false }, { blockTokens });
      expect(found.blockTokens).toBeNull();
      expect(stateOf(found, 'block-size')).toBe('unknown');
      expect(stateOf(found, 'reuse')).toBe(reuse);
    }
  });

  test('a development endpoint that takes its time is not waited for, and asked again the next time', async () => {
    const rig = await makeRig({ fake: { faults: { connector: 'LMCacheConnectorV1', devMode: true } } });
    rig.fake.faults.http = { kind: 'silence', afterChunks: 0, path: '/server_info' };
    const probed = rig.engine.probe(never);
    await rig.fake.untilRequests(completions, 4);
    rig.timer.advance(1_000);
    expect(stateOf(await probed, 'isolation')).toBe('unknown');
    rig.fake.faults.http = null;
    expect(stateOf(await rig.engine.probe(never), 'isolation')).toBe('no');
  });

  test('one that is late with what is known already does not cost a second probe', async () => {
    const http = { kind: 'silence', afterChunks: 0, path: '/server_info' } as const;
    const rig = await makeRig({ fake: { faults: { devMode: true, http } } });
    const probed = rig.engine.probe(never);
    await rig.fake.untilRequests(completions, 4);
    rig.timer.advance(1_000);
    expect(await rig.engine.probe(never)).toEqual(await probed);
    expect(prompts(rig)).toHaveLength(4);
  });

  test('what a development endpoint tells of keys goes nowhere', async () => {
    const rig = await makeRig({
      fake: { faults: { devMode: true, apiKey: 'secret-key' } },
      engine: { apiKey: 'secret-key' },
    });
    expect(JSON.stringify(await rig.engine.probe(never))).not.toContain('secret-key');
  });
});

describe('a probe of a server that does something unusual', () => {
  const unusual: readonly HttpFault[] = [
    { kind: 'status', status: 500, message: 'NaN in the logits' },
    { kind: 'status', status: 400, message: 'No.' },
    { kind: 'status', status: 401 },
    { kind: 'status', status: 404 },
    { kind: 'drop' },
    { kind: 'cut', afterChunks: 1 },
    { kind: 'huge' },
    { kind: 'redirect', location: 'http://elsewhere.invalid/' },
    { kind: 'body', body: '<html>' },
    { kind: 'body', body: '{"choices": []}' },
    { kind: 'body', body: '{"choices": [{"text": "", "prompt_token_ids": [1, 2, 3]}]}' },
    { kind: 'body', body: '<html>', type: 'text/html' },
  ];

  test('whatever answer to the model comes wrong, it is not tried again, and nothing that needed it is claimed', async () => {
    for (const after of [0, 1, 2, 3]) {
      for (const fault of unusual) {
        const rig = await makeRig();
        rig.fake.faults.http = { ...fault, path: completions, after };
        const found = await rig.engine.probe(never);
        const what = `${JSON.stringify(fault)} after ${after}`;
        expect(prompts(rig).length, what).toBeLessThanOrEqual(4);
        expect(rig.pauses.filter((pauseMs) => pauseMs >= 1_000)).toEqual([]);
        expect(stateOf(found, 'isolation'), what).toBe('unknown');
        const isRefusal = fault.kind === 'status' && fault.status === 400;
        const canary = after === 3 ? 'yes' : after === 2 && isRefusal ? 'no' : 'unknown';
        expect(stateOf(found, 'canary'), what).toBe(canary);
        if (after < 2) expect(stateOf(found, 'reuse'), what).toBe('unknown');
        else expect(stateOf(found, 'reuse'), what).toBe('yes');
        expect(found.items.filter(({ state }) => state === 'no').map(({ name }) => name)).not.toContain('reuse-told');
        expect(JSON.stringify(found)).not.toContain('CWM-9001');
      }
    }
  });

  test('a failure is not remembered: the next probe asks again', async () => {
    const rig = await makeRig();
    rig.fake.faults.http = { kind: 'status', status: 500, path: completions, times: 1 };
    expect(stateOf(await rig.engine.probe(never), 'reuse')).toBe('unknown');
    expect(stateOf(await rig.engine.probe(never), 'reuse')).toBe('yes');
  });

  test('a server that refuses log-probabilities is asked everything else', async () => {
    const rig = await makeRig();
    const message = 'Requested sample logprobs of 5, which is greater than max allowed: 0';
    rig.fake.faults.http = { kind: 'status', status: 400, message, path: completions, after: 2, times: 1 };
    const found = await rig.engine.probe(never);
    expect(itemOf(found, 'canary')).toMatchObject({ state: 'no', found: expect.stringContaining('max allowed: 0') });
    expect(stateOf(found, 'isolation')).toBe('yes');
    expect(itemOf(found, 'block-size').found).toBe('16 tokens, as the server tells.');
  });

  test('a server that does not answer the model’s requests is given half a minute, once', async () => {
    const rig = await makeRig({ fake: { faults: { http: { kind: 'silence', afterChunks: 0, path: completions } } } });
    const probed = rig.engine.probe(never);
    await rig.fake.untilRequests(completions, 1);
    rig.timer.advance(30_000);
    expect(itemOf(await probed, 'reuse')).toMatchObject({
      state: 'unknown',
      found: expect.stringContaining('sent nothing for 30 s'),
    });
    expect(prompts(rig)).toHaveLength(1);
  });

  test('/health, /tokenize and /server_info that fail cost only what they would have told', async () => {
    for (const path of ['/health', '/tokenize', '/server_info']) {
      for (const fault of unusual) {
        const rig = await makeRig();
        rig.fake.faults.http = { ...fault, path };
        const found = await rig.engine.probe(never);
        expect(stateOf(found, 'isolation'), `${JSON.stringify(fault)} at ${path}`).toBe('yes');
      }
    }
  });

  test('an engine that is dead behind its web server is said to be', async () => {
    const rig = await makeRig();
    rig.fake.faults.http = { kind: 'status', status: 503, path: '/health' };
    const found = await rig.engine.probe(never);
    expect(itemOf(found, 'ready')).toMatchObject({ state: 'no', remedy: expect.stringContaining('restart') });
  });

  test('values that are not numbers make no canary', async () => {
    const rig = await makeRig();
    const body = JSON.stringify({ choices: [{ text: '', logprobs: { top_logprobs: [{ a: null }] } }] });
    rig.fake.faults.http = { kind: 'body', body, path: completions, after: 2, times: 1 };
    expect(itemOf(await rig.engine.probe(never), 'canary')).toMatchObject({ state: 'unknown' });
  });

  test('what is no model server at all is refused as by any other call', async () => {
    const rig = await makeRig({ fake: { faults: { http: { kind: 'body', body: '<html>', type: 'text/html' } } } });
    expect(await failure(rig.engine.probe(never))).toMatchObject({ code: 'CWM-5005' });
  });
});
