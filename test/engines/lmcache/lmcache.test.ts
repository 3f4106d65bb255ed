import { describe, expect, onTestFinished, test } from 'vitest';
import { lineageOn, newLineage, saltOf, type Lineage } from '../../../src/core/ports/lineages.ts';
import { isLmcacheSalt } from '../../../src/engines/lmcache/salt.ts';
import type { Timeouts } from '../../../src/engines/http/timing.ts';
import { VllmEngine } from '../../../src/engines/vllm/vllmEngine.ts';
import { coreOver } from '../llamaServer/coreOver.ts';
import { FakeLmcache } from '../../fakes/fakeLmcache.ts';
import { FakeVllm } from '../../fakes/fakeVllm.ts';
import { fc } from '../../support/fc.ts';

const never = new AbortController().signal;

async function rig(options: { coordinator?: string; parts?: number; timeouts?: Partial<Timeouts> } = {}) {
  const { coordinator, parts = 1, timeouts = {} } = options;
  const vllm = await FakeVllm.start();
  const lmcache = await FakeLmcache.start(vllm);
  lmcache.parts = parts;
  const pauses: number[] = [];
  const hooks = { onPause: (): void => undefined };
  const sleep = async (delayMs: number): Promise<void> => {
    pauses.push(delayMs);
    hooks.onPause();
  };
  const engine = new VllmEngine({
    spec: vllm.url,
    connect: async () => ({ url: vllm.url }),
    sleep,
    timeouts,
    lmcache: coordinator ?? `${lmcache.url}?world_size=${parts}`,
  });
  const core = await coreOver(engine);
  onTestFinished(async () => {
    await core.dispose();
    await engine.close();
    await lmcache.stop();
    await vllm.stop();
  });
  return { vllm, lmcache, engine, core, pauses, hooks };
}

const text = 'A long message. '.repeat(60);
const said = (notes: readonly string[]): string => notes.filter((note) => note.includes('LMCache')).join(' ');

describe('LMCache behind vLLM', () => {
  test('a freeze waits until the pieces are where they outlive a restart, and pins them', async () => {
    const { core, lmcache, pauses } = await rig();
    lmcache.storesAfterLookups = 3;
    const { tokens, notes, verdict } = await core.keep(text);
    const pieces = Math.floor(tokens / 256);
    expect(verdict).toBe('reused');
    expect(pieces).toBeGreaterThan(2);
    expect(said(notes)).toContain(`it has ${pieces} of ${pieces} pieces of this context, ${pieces} of them where`);
    expect(said(notes)).toContain('LMCache has pinned the KV.');
    expect(lmcache.pinned).toBe(pieces);
    expect(pauses.filter((pause) => pause === 250)).toHaveLength(3);
  });

  test('the canary rests on whole pieces, which is what comes back after a restart', async () => {
    const { core, vllm } = await rig();
    const { tokens } = await core.keep(text);
    const canaries = vllm
      .requestsTo('/v1/completions')
      .map(({ body }) => body as { readonly prompt: readonly number[]; readonly logprobs?: number })
      .filter(({ prompt, logprobs }) => logprobs !== undefined && prompt.length < tokens);
    const [first, second, ...beginnings] = canaries.map(({ prompt }) => prompt.length);
    const kept = Math.floor(tokens / 256) * 256;
    expect([first, second]).toEqual([kept + 1, kept + 1]);
    expect(Math.max(...beginnings)).toBeLessThan(tokens);
  });

  test('what is never stored for good ends the wait after its time, and is said', async () => {
    const { core, lmcache, pauses } = await rig();
    lmcache.storesAfterLookups = Number.MAX_SAFE_INTEGER;
    expect(said((await core.keep(text)).notes)).toContain(', 0 of them where they outlive a restart');
    expect(pauses.filter((pause) => pause === 250)).toHaveLength(40);
  });

  test('a coordinator that loses track and finds it again, over and over, is not waited for without end', async () => {
    const { core, lmcache, pauses, hooks } = await rig();
    await core.keep(text);
    lmcache.storesAfterLookups = Number.MAX_SAFE_INTEGER;
    await core.cwm.send({ session: 's', text, maxTokens: 12 }, never);
    hooks.onPause = () => {
      lmcache.forgetsPlaces = !lmcache.forgetsPlaces;
      if (pauses.length > 500) throw new Error('it waits without end');
    };
    const { notes } = await core.cwm.freeze({ session: 's', window: 'longer', checkpoint: true }, never);
    expect(said(notes)).toContain('LMCache has pinned the KV.');
  });

  test('a thaw looks before it asks the model, has it loaded, and proves nothing by that', async () => {
    const { core, lmcache, vllm } = await rig();
    await core.keep(text);
    await vllm.restart();
    lmcache.restart();
    const asked = lmcache.requests.length;
    const receipt = await core.thaw();
    expect(lmcache.requests.slice(asked, asked + 4)).toEqual([
      'POST /directory/lookup',
      'GET /instances',
      'POST /cache/prefetches',
      // Its name after the restart, although the directory still has the one before.
      'GET /cache/prefetches/worker-2/p0',
    ]);
    // The fake vLLM has no connector: whatever the coordinator says, all was computed again.
    expect(receipt).toMatchObject({ verdict: 'rebuilt', cachedTokens: 0 });
    expect(said(receipt.notes)).toMatch(/it has (\d+) of \1 pieces/);
  });

  test('what an instance told of that was killed and is not missed yet is loaded by another', async () => {
    const { core, lmcache } = await rig();
    await core.keep(text);
    lmcache.restart();
    lmcache.lostInstance = 'worker-1';
    const { notes } = await core.thaw();
    expect(lmcache.requests.filter((request) => request.includes('/cache/prefetches'))).toEqual([
      'POST /cache/prefetches',
      'POST /cache/prefetches',
      'GET /cache/prefetches/worker-2/p0',
    ]);
    expect(said(notes)).not.toContain('could not help');
  });

  test('of a window and its clone, the second to be deleted unpins and deletes', async () => {
    const { core, lmcache } = await rig();
    await core.keep(text);
    const { size } = lmcache;
    await core.cwm.clone({ window: 'w', target: 'c' }, never);
    await core.cwm.deleteWindow({ window: 'w' }, never);
    expect([lmcache.pinned, lmcache.size]).toEqual([size, size]);
    await core.cwm.deleteWindow({ window: 'c' }, never);
    expect([lmcache.pinned, lmcache.size]).toEqual([0, 0]);
  });

  test('what an instance stored under the name that it had before a restart is deleted all the same', async () => {
    const { core, lmcache } = await rig();
    await core.keep(text);
    expect(lmcache.size).toBeGreaterThan(0);
    lmcache.restart();
    await core.cwm.deleteWindow({ window: 'w' }, never);
    expect([lmcache.pinned, lmcache.size]).toEqual([0, 0]);
  });

  test('the others delete although one instance is lost', async () => {
    const { core, lmcache } = await rig();
    await core.keep(text);
    lmcache.lostInstance = 'lost';
    await core.cwm.deleteWindow({ window: 'w' }, never);
    expect([lmcache.pinned, lmcache.size]).toEqual([0, 0]);
  });

  test('what a longer window has pinned stays when the shorter one goes', async () => {
    const { core, lmcache } = await rig();
    await core.keep(text);
    await core.cwm.send({ session: 's', text, maxTokens: 12 }, never);
    await core.cwm.freeze({ session: 's', window: 'longer', checkpoint: true }, never);
    const { size } = lmcache;
    await core.cwm.deleteWindow({ window: 'w' }, never);
    expect([lmcache.pinned, lmcache.size]).toEqual([size, size]);
    await core.cwm.deleteWindow({ window: 'longer' }, never);
    expect(lmcache.size).toBe(0);
  });

  test('what the coordinator has forgotten is pinned all the same', async () => {
    const { core, lmcache } = await rig();
    lmcache.forgetsPlaces = true;
    const { tokens, notes } = await core.keep(text);
    expect(said(notes)).toMatch(/it has 0 of \d+ pieces.+LMCache has pinned the KV/);
    expect(lmcache.pinned).toBe(Math.floor(tokens / 256));
  });

  test('a thaw that renews the record of KV neither waits for it nor pins it once more', async () => {
    const { core, lmcache, vllm, pauses } = await rig();
    await core.keep(text);
    vllm.evictAll();
    lmcache.forgetsPlaces = true;
    pauses.length = 0;
    expect((await core.thaw()).verdict).toBe('rebuilt');
    expect(pauses).not.toContain(250);
    await core.cwm.deleteWindow({ window: 'w' }, never);
    expect(lmcache.size).toBe(0);
  });

  test('pieces of a model in several parts count when every part has them', async () => {
    const { core, lmcache } = await rig({ parts: 2 });
    lmcache.storesAfterLookups = 1;
    const { tokens, notes } = await core.keep(text);
    const pieces = Math.floor(tokens / 256);
    expect(said(notes)).toContain(`it has ${pieces} of ${pieces} pieces of this context, ${pieces} of them where`);
    expect(lmcache.requests.filter((request) => request === 'POST /directory/lookup')).toHaveLength(3);
    expect([lmcache.pinned, lmcache.size]).toEqual([pieces * 2, pieces * 2]);
  });

  test.each([
    ['fails', { kind: 'status', status: 500 }, 'CWM-5004'],
    ['says nothing', { kind: 'silence', afterChunks: 0 }, 'CWM-6001'],
  ] as const)('a thaw that gives damaged KV up goes on when the coordinator %s', async (_, fault, code) => {
    const { core, lmcache, vllm } = await rig({ timeouts: { smallMs: 300 } });
    await core.keep(text);
    vllm.faults.weights = 'others';
    lmcache.faults.http = fault;
    const { verdict, repair, notes } = await core.thaw();
    expect([verdict, repair]).toEqual(['damaged', 'salt-advanced']);
    expect(notes.join(' ')).toMatch(new RegExp(`given up could not be deleted everywhere: .+ \\(${code}\\)`));
  });

  test('a failed prefetch does not take back what the look-up found', async () => {
    const { core, lmcache } = await rig();
    await core.keep(text);
    lmcache.faults.http = { kind: 'status', status: 502, path: '/cache/prefetches' };
    const { notes } = await core.thaw();
    expect(said(notes)).toMatch(/it has (\d+) of \1 pieces.+could not help/);
  });

  test.each([
    ['answers 500', { kind: 'status', status: 500 }],
    ['answers with HTML', { kind: 'body', body: '<html></html>', type: 'text/html' }],
    ['answers with other JSON', { kind: 'body', body: '{"chunks":"many"}' }],
    ['sends elsewhere', { kind: 'redirect', location: 'http://127.0.0.1:1/' }],
    ['hangs up', { kind: 'drop' }],
    ['wants a key', { kind: 'status', status: 401 }],
    ['says nothing', { kind: 'silence', afterChunks: 0 }],
  ] as const)('a coordinator that %s is a note: freeze, thaw and delete go on', async (_, fault) => {
    const { core, lmcache, vllm } = await rig({ timeouts: { smallMs: 300 } });
    lmcache.faults.http = fault;
    const frozen = await core.keep(text);
    expect(frozen.verdict).toBe('reused');
    expect(said(frozen.notes)).toMatch(/LMCache's coordinator could not help: .+ \(CWM-[56]\d{3}\)/);
    lmcache.faults.http = null;
    vllm.evictAll();
    await core.thaw();
    lmcache.faults.http = fault;
    const thawed = await core.thaw();
    expect(thawed.verdict).toBe('reused');
    expect(said(thawed.notes)).toContain('could not help');
    await core.cwm.deleteWindow({ window: 'w' }, never);
    expect((await core.cwm.listWindows({})).total).toBe(0);
  });

  test('a coordinator that is not there is a note too', async () => {
    const { core } = await rig({ coordinator: 'http://127.0.0.1:1' });
    const { verdict, notes } = await core.keep(text);
    expect(verdict).toBe('reused');
    expect(said(notes)).toContain('(CWM-5001)');
  });

  test('a model in several parts is asked for as such', async () => {
    const { engine, lmcache, vllm } = await rig();
    const parts = new VllmEngine({
      spec: vllm.url,
      connect: async () => ({ url: vllm.url }),
      lmcache: `${lmcache.url}?world_size=2`,
    });
    const ids = Array.from({ length: 600 }, (_, at) => 32 + (at % 90));
    await engine.restore({ ids, salt: 's', handle: null }, never);
    await parts.restore({ ids, salt: 's', handle: null }, never);
    await parts.close();
    expect(lmcache.bodiesTo('/directory/lookup')).toMatchObject([{ world_size: 1 }, { world_size: 2 }]);
  });
});

describe('cache salts', () => {
  const base = (generation: number): Lineage => ({ ...newLineage(), generation });

  test('LMCache takes every salt that we make, of every generation', () => {
    fc.assert(
      fc.property(fc.nat({ max: 1_000_000 }), (generation) =>
        [base(generation), lineageOn(base(generation))].every((lineage) =>
          isLmcacheSalt(saltOf({ ...lineage, generation })),
        ),
      ),
    );
  });

  test.each(['a@b', 'a/b', 'a\\b', 'a\0b', 'x'.repeat(129)])('it does not take %j', (salt) => {
    expect(isLmcacheSalt(salt)).toBe(false);
  });
});
