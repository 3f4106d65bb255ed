import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CwmError } from '../../../src/protocol/errors.ts';
import type { Caller } from '../../../src/core/ports/projects.ts';
import { keeping, talkedIn } from '../checkpoints.ts';
import { fakeFolders } from '../fakeFolders.ts';
import { coreFixture, never, type CoreFixture } from '../coreFixture.ts';
import { sessionId } from '../../store/builders.ts';
import { eventually } from '../../support/eventually.ts';

const s = sessionId('s');

beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => vi.useRealTimers());

describe('opening a folder', () => {
  async function closed(caller = (): Caller => ({ client: 'core', isAgent: false })): Promise<CoreFixture> {
    const fixture = await coreFixture({}, undefined, (own) => ({ ...own, checkpoints: { enabled: true }, caller }));
    await talkedIn(fixture, 's', 'file:///a');
    await fixture.cwm.closeProject({ project: 'file:///a' });
    fixture.engine.restart();
    return fixture;
  }

  it('brings the KV of its current session back, and the session is as it was', async () => {
    const fixture = await closed();
    const before = await fixture.cwm.getSession({ session: 's' });
    const opened = await fixture.cwm.openProject({ project: 'file:///a' });
    expect(opened).toMatchObject({ session: { id: 's' }, warming: { state: 'running', tokensBehind: 0 } });
    await fixture.cwm.settled();
    const { warming } = await fixture.cwm.openedProject({ project: 'file:///a' });
    expect(warming).toMatchObject({ state: 'done', receipt: { operation: 'thaw', verdict: 'proven' } });
    expect(warming?.receipt?.cachedTokens).toBe(warming?.receipt?.floorTokens);
    expect(await fixture.cwm.getSession({ session: 's' })).toEqual(before);
    expect((await fixture.cwm.listSessions({})).total).toBe(1);
  });

  it('a message that comes meanwhile waits for the KV, and computes nothing twice', async () => {
    const fixture = await closed();
    const { cwm, engine } = fixture;
    const measuring = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    engine.calls = [];
    engine.onCall = async (call) => {
      if (call !== 'measure') return;
      measuring.resolve();
      await go.promise;
    };
    await cwm.openProject({ project: 'file:///a' });
    await measuring.promise;
    const answer = cwm.send({ session: 's', text: 'And why?' });
    await vi.advanceTimersByTimeAsync(1);
    expect(engine.calls).not.toContain('generate');
    go.resolve();
    const { cachedTokens } = await answer;
    expect(cachedTokens).toBeGreaterThanOrEqual((await fixture.store.checkpoints.get(s))!.manifest.tokens.count - 4);
  });

  it('a frozen session continues as itself, however often it is opened', async () => {
    const fixture = await keeping();
    await talkedIn(fixture, 's', 'file:///a');
    await fixture.cwm.freeze({ session: 's', window: 'w' }, never());
    fixture.engine.restart();
    for (let times = 1; times <= 3; times++) {
      await fixture.cwm.openProject({ project: 'file:///a' });
      await fixture.cwm.settled();
    }
    expect((await fixture.cwm.getSession({ session: 's' })).lifecycle).toBe('thawed');
    expect((await fixture.cwm.listSessions({})).total).toBe(1);
  });

  it('a frozen session that is resumed by hand meanwhile, or just after, is resumed once', async () => {
    const fixture = await keeping();
    const { cwm, engine } = fixture;
    await talkedIn(fixture, 's', 'file:///a');
    await cwm.freeze({ session: 's', window: 'w' }, never());
    engine.restart();
    engine.calls = [];
    await cwm.openProject({ project: 'file:///a' });
    const byHand = await cwm.thaw({ window: 'w', resume: true });
    const again = await cwm.thaw({ window: 'w', resume: true });
    expect(byHand).toMatchObject({ verdict: 'proven', session: 's', window: 'w' });
    expect(again).toEqual(byHand);
    expect(engine.calls.filter((call) => call === 'restore')).toHaveLength(1);
  });

  it('two clients join one loading, and only the last one that leaves stops it, however often each opened it', async () => {
    let client = 'one';
    const fixture = await closed(() => ({ client, isAgent: false }));
    const { cwm, engine } = fixture;
    const go = Promise.withResolvers<void>();
    const measuring = Promise.withResolvers<void>();
    engine.onCall = async (call) => {
      if (call !== 'measure') return;
      measuring.resolve();
      await go.promise;
    };
    engine.calls = [];
    await cwm.openProject({ project: 'file:///a' });
    await cwm.openProject({ project: 'file:///a' });
    client = 'other';
    await cwm.openProject({ project: 'file:///a' });
    await measuring.promise;
    await cwm.closeProject({ project: 'file:///a' });
    expect((await cwm.openedProject({ project: 'file:///a' })).warming?.state).toBe('running');
    const abort = vi.spyOn(AbortController.prototype, 'abort');
    const left = cwm.openProject({ project: 'file:///b', leaving: 'file:///a' });
    await eventually(() => expect(abort).toHaveBeenCalled());
    abort.mockRestore();
    go.resolve();
    await left;
    await cwm.settled();
    expect((await cwm.openedProject({ project: 'file:///a' })).warming?.state).toBe('stopped');
    expect(engine.calls.filter((call) => call === 'restore')).toHaveLength(1);
  });

  it('whose model server is gone says so; its conversation stays, and another folder opens', async () => {
    const fixture = await closed();
    const { cwm, engine } = fixture;
    const gone = new CwmError('EngineUnavailable', 'Nothing answers at this address.');
    for (const call of ['describe', 'locate', 'measure', 'restore'] as const)
      vi.spyOn(engine, call).mockRejectedValue(gone);
    expect(await cwm.openProject({ project: 'file:///a' })).toMatchObject({ session: { id: 's' } });
    await cwm.settled();
    const { warming } = await cwm.openedProject({ project: 'file:///a' });
    const note = expect.stringContaining('Nothing answers at this address.') as unknown;
    expect(warming).toMatchObject({ state: 'done', receipt: { verdict: 'text-only', notes: [note] } });
    expect((await cwm.listMessages({ session: 's' })).items).toHaveLength(2);
    expect(await cwm.openProject({ project: 'file:///b', leaving: 'file:///a' })).toMatchObject({ session: null });
    await cwm.settled();
    expect(fixture.failures).toEqual([]);
    vi.restoreAllMocks();
    await cwm.openProject({ project: 'file:///a' });
    await cwm.settled();
    expect((await cwm.openedProject({ project: 'file:///a' })).warming).toMatchObject({ state: 'done' });
  });

  it('S2-12 a project that says so is not switched by itself, and a dry run changes nothing', async () => {
    let says: object = { auto_switch: false };
    const fixture = await coreFixture({}, undefined, (own) => ({
      ...own,
      checkpoints: { enabled: true },
      folders: fakeFolders(() => says),
    }));
    const { cwm, engine } = fixture;
    await talkedIn(fixture, 's', 'file:///a');
    await cwm.closeProject({ project: 'file:///a' });
    engine.restart();
    engine.calls = [];
    const opened = async (insist = false) => (await cwm.openProject({ project: 'file:///a', insist })).warming;
    expect(await opened()).toMatchObject({ state: 'ask', why: expect.stringContaining('auto_switch') as unknown });
    says = { dry_run: true };
    expect(await opened(true)).toMatchObject({ state: 'none', why: expect.stringContaining('dry_run') as unknown });
    await cwm.settled();
    expect(engine.calls).toEqual([]);
    says = { auto_switch: false };
    expect(await opened(true)).toMatchObject({ state: 'running' });
    await cwm.settled();
    expect(engine.calls).toContain('restore');
  });

  it('says why nothing is brought back', async () => {
    const { cwm } = await keeping();
    expect(await cwm.openProject({ project: 'file:///a' })).toMatchObject({
      project: 'file:///a',
      session: null,
      warming: null,
    });
    await cwm.createSession({ id: 's', project: 'file:///a' });
    expect((await cwm.openProject({ project: 'file:///a' })).warming).toMatchObject({
      state: 'none',
      why: 'It has no context yet.',
    });
  });
});
