import { modelDifference } from '../../../src/core/identity.ts';
import { modelName } from '../../../src/engines/llamaServer/serverIdentity.ts';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Capabilities, CapabilityName } from '../../../src/protocol/schemas/capabilities.ts';
import type { FakeLlamaFaults } from '../../fakes/fakeLlamaServer.ts';
import { contextOf, failure, makeRig, never, someIds, type Rig, type RigOptions } from './rig.ts';

const completion = '/completion';
const itemOf = ({ items }: Capabilities, name: CapabilityName) => items.find((item) => item.name === name);
const sent = ({ fake }: Rig) =>
  fake.requestsTo(completion).map(({ body }) => body as { prompt: number[]; id_slot: number });

describe('a probe of llama-server', () => {
  test('three requests of at most 3·1 + 1 tokens, in a slot that no conversation of ours is in', async () => {
    const rig = await makeRig();
    const context = contextOf(someIds(40));
    await rig.engine.measure(context, never);
    const home = sent(rig)[0]?.id_slot;
    const { cost, blockTokens } = await rig.engine.probe(never);
    const probes = sent(rig).slice(1);
    expect(probes.map(({ prompt }) => prompt.length)).toEqual([4, 4, 3]);
    expect(new Set(probes.map(({ id_slot }) => id_slot))).not.toContain(home);
    expect(cost).toMatchObject({ requests: 3, promptTokens: 11 });
    expect(blockTokens).toBe(1);
    expect((await rig.engine.measure(context, never)).reuse.cachedTokens).toBe(39);
  });

  test('with one slot only, KV from a file that may be damaged is erased first', async () => {
    const rig = await makeRig({ fake: { slots: 1 } });
    const context = contextOf(someIds(40));
    const { handle } = await rig.engine.persist(context, never);
    await rig.engine.restore({ ...context, handle }, never);
    const erasures = rig.fake.requestsTo('/slots/0?action=erase').length;
    await rig.engine.probe(never);
    expect(rig.fake.requestsTo('/slots/0?action=erase')).toHaveLength(erasures + 1);
  });

  test('it is remembered until the server was lost or is another one', async () => {
    const rig = await makeRig();
    const first = await rig.engine.probe(never);
    expect(await rig.engine.probe(never)).toEqual(first);
    expect(sent(rig)).toHaveLength(3);
    rig.fake.faults.contextTokens = 2048;
    await rig.engine.probe(never);
    expect(sent(rig)).toHaveLength(6);
    await rig.fake.kill();
    await failure(rig.engine.measure(contextOf(someIds(9)), never));
    await rig.fake.restart();
    await rig.engine.probe(never);
    expect(sent(rig)).toHaveLength(9);
  });

  const cases: readonly (readonly [
    what: string,
    options: Partial<FakeLlamaFaults>,
    folder: RigOptions['folder'],
    states: Partial<Record<CapabilityName, string>>,
    words?: readonly [CapabilityName, string],
  ])[] = [
    [
      'all that it has, and that it has no salts',
      {},
      'reachable',
      { ready: 'yes', reuse: 'yes', 'reuse-told': 'yes', isolation: 'no', persistence: 'yes', 'block-files': 'yes' },
      ['isolation', 'isolation is not promised'],
    ],
    [
      'timings that are missing are not known, not 0',
      { timings: 'none' },
      'reachable',
      { reuse: 'unknown', 'reuse-told': 'no' },
    ],
    [
      'timings that do not add up are not believed',
      { timings: 'do-not-add-up' },
      'reachable',
      { reuse: 'unknown', 'reuse-told': 'no' },
    ],
    [
      'a sliding window, which loses all of so short a context, says nothing about reuse',
      { lostTokens: 4 },
      'reachable',
      { reuse: 'unknown', 'reuse-told': 'yes' },
      ['reuse', 'sliding window'],
    ],
    [
      'another slot works than was asked',
      { worksElsewhere: true },
      'reachable',
      { reuse: 'unknown', 'reuse-told': 'unknown', canary: 'unknown' },
    ],
    ['no log-probabilities', { givesLogprobs: false }, 'reachable', { canary: 'no', reuse: 'yes' }],
    ['slots are not shown', { hidesSlots: true }, 'reachable', { insight: 'no', reuse: 'yes' }, ['insight', '--slots']],
    [
      'a slot folder that is not known here',
      {},
      'out of sight',
      { persistence: 'yes', 'block-files': 'no' },
      ['block-files', '#slots=DIR'],
    ],
    [
      'no slot folder at all',
      {},
      'none',
      { persistence: 'no', 'block-files': 'no' },
      ['persistence', '--slot-save-path'],
    ],
    [
      'failures',
      { http: { kind: 'status', status: 500, path: completion } },
      'reachable',
      { reuse: 'unknown', 'token-ids': 'unknown', persistence: 'yes' },
    ],
    [
      'cut answers',
      { http: { kind: 'cut', afterChunks: 1, path: completion, after: 1 } },
      'reachable',
      { reuse: 'unknown', 'token-ids': 'yes' },
    ],
    ['no /tokenize', { http: { kind: 'status', status: 404, path: '/tokenize' } }, 'reachable', { tokenizer: 'no' }],
    ['still loading', { http: { kind: 'status', status: 503, path: '/health' } }, 'reachable', { ready: 'no' }],
  ];
  for (const [what, faults, folder, states, words] of cases) {
    test(`finds: ${what}`, async () => {
      const rig = await makeRig({ folder, fake: { faults } });
      const found = await rig.engine.probe(never);
      for (const [name, state] of Object.entries(states))
        expect(itemOf(found, name as CapabilityName)?.state, name).toBe(state);
      const item = words && itemOf(found, words[0]);
      if (words) expect(`${item?.found} ${item?.remedy}`).toContain(words[1]);
      expect(sent(rig).length).toBeLessThanOrEqual(3);
    });
  }

  test('a named folder counts once a file of the server appeared in it; that file is deleted', async () => {
    const rig = await makeRig();
    expect(itemOf(await rig.engine.probe(never), 'block-files')).toMatchObject({ state: 'yes' });
    const saves = rig.fake.requestsTo('/slots/').filter(({ path }) => path.endsWith('action=save'));
    expect(saves.map(({ body }) => (body as { filename: string }).filename)).toEqual([
      expect.stringMatching(/^cwm-[0-9a-f]{64}\.slot$/),
    ]);
    expect(await readdir(rig.slotDir)).toEqual([]);
  });

  test('a named folder that is not the server’s says so, and does not keep a thaw from what the server has', async () => {
    const rig = await makeRig();
    const wrong = await mkdtemp(join(tmpdir(), 'cwm-slots-'));
    onTestFinished(() => rm(wrong, { recursive: true }));
    const engine = rig.another({ slotDir: wrong });
    const found = await engine.probe(never);
    expect(itemOf(found, 'persistence')).toMatchObject({ state: 'yes' });
    const [left] = await readdir(rig.slotDir);
    expect(itemOf(found, 'block-files')).toMatchObject({
      state: 'no',
      found: `The folder ${wrong}, which #slots= names, is not used: a file that the server saved did not appear there. The file is ${left}.`,
      remedy: expect.stringContaining('#slots='),
    });
    // What stays in a folder that nobody here knows is one file, however often it is tried.
    await engine.probe(never);
    expect(await readdir(rig.slotDir)).toEqual([left]);

    const context = contextOf(someIds(40));
    const { handle } = await engine.persist(context, never);
    expect(await engine.locate(context, never)).toMatchObject({ reachable: false });
    expect((await engine.restore({ ...context, handle }, never)).outcome).toBe('restored');
    expect((await engine.measure(context, never)).reuse.cachedTokens).toBe(39);
  });

  test.each([
    ['fails', 'Unable to save slot'],
    ['writes-nothing', 'saved nothing'],
  ] as const)(
    'a server that cannot write its slots (%s) keeps nothing over a restart, until it can',
    async (save, words) => {
      const rig = await makeRig({ fake: { faults: { save } } });
      for (const time of [1, 2]) {
        const found = await rig.engine.probe(never);
        for (const name of ['persistence', 'block-files'] as const) {
          const item = itemOf(found, name);
          expect(item?.state, `${name}, ${time}`).toBe('no');
          expect(item?.found).toContain(words);
          expect(item?.remedy).toContain('may write to it');
        }
      }
      rig.fake.faults.save = 'works';
      expect(itemOf(await rig.engine.probe(never), 'persistence')?.state).toBe('yes');
    },
  );

  test('a folder that can be written no more is found out by the next probe after a minute', async () => {
    let nowMs = 0;
    const clock = { now: () => new Date(0), elapsedMs: () => nowMs };
    const rig = await makeRig({ engine: { clock } });
    expect(itemOf(await rig.engine.probe(never), 'persistence')?.state).toBe('yes');
    rig.fake.faults.save = 'fails';
    expect(itemOf(await rig.engine.probe(never), 'persistence')?.state).toBe('yes');
    nowMs += 60_001;
    expect(itemOf(await rig.engine.probe(never), 'persistence')?.state).toBe('no');
    // The model is not asked again for that, and no slot is lost.
    expect(sent(rig)).toHaveLength(3);
  });

  test('a server that saves no slots because its model sees pictures is told so, and nothing about folders', async () => {
    const rig = await makeRig({ fake: { faults: { seesPictures: true } } });
    const item = itemOf(await rig.engine.probe(never), 'persistence');
    expect(item?.state).toBe('no');
    expect(`${item?.found} ${item?.remedy}`).toContain('--mmproj');
    expect(item?.remedy).not.toContain('may write');
  });

  test('S0-43 an abort ends it with CWM-6003', async () => {
    const rig = await makeRig({ fake: { faults: { http: { kind: 'silence', afterChunks: 0, path: completion } } } });
    const controller = new AbortController();
    const probed = failure(rig.engine.probe(controller.signal));
    await rig.fake.untilRequests(completion, 1);
    controller.abort();
    expect(await probed).toMatchObject({ code: 'CWM-6003' });
  });
});

test('a model that has no other name than its file is called by that, without folder, ending and number of its part', () => {
  expect(modelName('/models/gemma-3-270m-Q4_K_M.gguf')).toBe('gemma-3-270m-Q4_K_M');
  expect(modelName('C:\\models\\big-00001-of-00003.gguf')).toBe('big');
  expect(modelName('ggml-org/gemma-3-270m-GGUF')).toBe('ggml-org/gemma-3-270m-GGUF');
  const model = { root: null, maxModelLen: null, fingerprint: null };
  expect(modelDifference({ id: '/models/a.gguf', ...model }, { id: 'a', ...model })).toBeNull();
  expect(modelDifference({ id: 'one/a', ...model }, { id: 'two/a', ...model })).not.toBeNull();
});
