import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Engine, KvContext } from '../../../src/core/ports/engine.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import { holdSave, keeping, restores, talkedIn } from '../checkpoints.ts';
import { coreFixture, never, type CoreFixture } from '../coreFixture.ts';
import { eventually } from '../../support/eventually.ts';
import { sessionId } from '../../store/builders.ts';

const s = sessionId('s');

beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => vi.useRealTimers());

interface OneSlot extends CoreFixture {
  /** What it says when it is asked whether it had a request since its start. */
  readonly isUnused: ReturnType<typeof vi.fn<() => Promise<boolean>>>;
}

/** A model server with room for one conversation, and sessions `s` and `t` that had a turn each, `s` the last one. */
async function oneSlot(): Promise<OneSlot> {
  const fixture = await keeping();
  const isUnused = vi.fn<() => Promise<boolean>>().mockResolvedValue(false);
  Object.assign(fixture.engine, { kind: 'llama-server', handle: 'slot-1', isUnused });
  for (const id of ['t', 's']) await talkedIn(fixture, id, `file:///${id}`);
  fixture.engine.calls = [];
  return { ...fixture, isUnused };
}

describe('a model server with room for one conversation', () => {
  it('that was started again gets the checkpoint of its last conversation back before the next message', async () => {
    const fixture = await oneSlot();
    await fixture.cwm.closeProject({ project: 'file:///s' });
    fixture.engine.restart();
    fixture.isUnused.mockResolvedValueOnce(true);
    await fixture.cwm.send({ session: 's', text: 'And why?' });
    expect(restores(fixture)).toBe(1);
    await fixture.cwm.send({ session: 's', text: 'And how?' });
    expect(restores(fixture)).toBe(1);
  });

  it('that did not answer when the folder was opened gets the checkpoint back before the next message, once it answers', async () => {
    const fixture = await oneSlot();
    const { cwm, engine } = fixture;
    await cwm.closeProject({ project: 'file:///s' });
    cwm.outside.tookEngine(engine.spec, sessionId('t'));
    const away = new CwmError('EngineUnavailable', 'Nothing answers.');
    const spies = (['describe', 'locate', 'measure'] as const).map((call) => vi.spyOn(engine, call));
    for (const spy of spies) spy.mockRejectedValue(away);
    await cwm.openProject({ project: 'file:///s' });
    await cwm.settled();
    expect((await cwm.openedProject({ project: 'file:///s' })).warming?.receipt?.verdict).toBe('text-only');
    for (const spy of spies) spy.mockRestore();
    engine.calls = [];
    await cwm.send({ session: 's', text: 'And why?' });
    expect(restores(fixture)).toBe(1);
  });

  it('that does not say whether it was started again loses nothing that a later checkpoint may have', async () => {
    const fixture = await oneSlot();
    fixture.isUnused.mockRejectedValue(new CwmError('EngineTimeout', 'It computes a long prompt.'));
    await fixture.cwm.createSession({ id: 'u' });
    vi.spyOn(fixture.engine, 'generate').mockRejectedValueOnce(new CwmError('EngineUnavailable', 'Nothing answers.'));
    await expect(fixture.cwm.send({ session: 'u', text: 'And why?' })).rejects.toThrow('Nothing answers.');
    expect(await fixture.store.checkpoints.get(s)).toBeNull();
    expect((await fixture.cwm.closeProject({ project: 'file:///s' })).receipt).not.toBeNull();
  });

  it('has the conversation of a turn whose second request never reached it', async () => {
    const fixture = await oneSlot();
    const { cwm, engine } = fixture;
    await cwm.createSession({ id: 'u', tools: { policy: 'auto-approve' } });
    engine.toolCalls = [[{ id: 'c', name: 'look_up', arguments: '{}' }]];
    const generate = engine.generate.bind(engine);
    vi.spyOn(engine, 'generate')
      .mockImplementationOnce(generate)
      .mockRejectedValueOnce(new CwmError('ModelMismatch', 'It serves another model.'));
    await expect(cwm.send({ session: 'u', text: 'And why?' })).rejects.toThrow('another model');
    expect(cwm.outside.holderOf(engine.spec)).toBe('u');
  });

  it('has the session that moved away and back no more, where another one came meanwhile', async () => {
    const fixture = await oneSlot();
    const { cwm, engine, store } = fixture;
    await cwm.closeProject({ project: 'file:///s' });
    cwm.outside.tookEngine('http://another', s);
    cwm.outside.tookEngine(engine.spec, sessionId('t'));
    await cwm.send({ session: 's', text: 'And why?' });
    expect(await store.checkpoints.get(s)).not.toBeNull();
    expect(restores(fixture)).toBe(1);
  });

  it('gives its last turn to a checkpoint before an older window of the same session is thawed into a copy', async () => {
    const fixture = await oneSlot();
    const { cwm, store } = fixture;
    await cwm.freeze({ session: 's', window: 'w', checkpoint: true }, never());
    await cwm.send({ session: 's', text: 'And why?' });
    await cwm.thaw({ window: 'w', copy: true });
    const { tokens } = await cwm.getSession({ session: 's' });
    expect((await store.checkpoints.get(s))?.manifest.tokens.sha256).toBe(tokens?.sha256);
  });

  it('that is not the default one: a freeze saves the other conversation that is there, and not its own', async () => {
    const fixture = await coreFixture({}, undefined, (own) => ({
      ...own,
      checkpoints: { enabled: true },
      engines: { ...own.engines, defaultSpec: 'http://default' },
    }));
    const { cwm, engine, store } = fixture;
    Object.assign(engine, { kind: 'llama-server', handle: 'slot-1' });
    for (const session of ['t', 's']) {
      await cwm.createSession({ id: session, engine: engine.spec });
      await cwm.send({ session, text: `Please explain what ${session} is good for.` });
      await cwm.settled();
    }
    engine.calls = [];
    await cwm.freeze({ session: 's', window: 'own', checkpoint: true }, never());
    expect(await store.checkpoints.get(s)).toBeNull();
    await cwm.send({ session: 's', text: 'And why?' });
    await cwm.settled();
    await cwm.freeze({ session: 't', window: 'other', checkpoint: true }, never());
    expect(await store.checkpoints.get(s)).not.toBeNull();
  });

  it('is saved for another program, too, while other requests run', async () => {
    const { cwm, engine, store } = await oneSlot();
    cwm.outside.passing(engine.spec, undefined);
    await cwm.outside.saveHolder(engine.spec, never());
    expect(await store.checkpoints.get(s)).not.toBeNull();
  });

  it('begins no save after the time that a message waits, behind a checkpoint that ran before', async () => {
    const fixture = await oneSlot();
    const { cwm, engine } = fixture;
    const held = holdSave(fixture);
    const closing = cwm.closeProject({ project: 'file:///s' });
    await held.reached;
    await cwm.createSession({ id: 'u' });
    const timers = vi.getTimerCount();
    const other = cwm.send({ session: 'u', text: 'And why?' });
    await eventually(() => expect(vi.getTimerCount()).toBeGreaterThan(timers));
    await vi.advanceTimersByTimeAsync(30_000);
    held.go();
    await other;
    await closing;
    await cwm.settled();
    expect(engine.calls.filter((call) => call === 'persist')).toHaveLength(1);
  });
});

describe('a model server with room for one conversation, which writes what it has as it is', () => {
  /** `s` has it. Its last turn is stored once `stored` is called. */
  async function leaving() {
    const fixture = await oneSlot();
    const { engine } = fixture;
    const { promise, resolve: stored } = Promise.withResolvers<void>();
    const kv = {
      take: vi.fn(async (context: Pick<KvContext, 'ids' | 'salt'>) => {
        await engine.persist({ ...context, handle: null }, never());
        engine.calls = [];
        return { handle: 'left', tokens: context.ids.length };
      }),
      drop: vi.fn(async () => undefined),
    };
    const leave = vi.fn<NonNullable<Engine['leave']>>().mockResolvedValue(kv);
    Object.assign(engine, { leave });
    const given = { tokens: 100, stored: () => promise };
    const left = (signal = never()) => fixture.cwm.outside.leavePlace(engine.spec, given, signal);
    return { ...fixture, kv, leave, left, stored };
  }

  it('is free as soon as it wrote: what is left of the checkpoint is done beside the conversation that comes', async () => {
    const { cwm, store, left, kv, engine, stored } = await leaving();
    expect(await left()).toBe(true);
    expect(kv.take).not.toHaveBeenCalled();
    stored();
    await cwm.settled();
    const checkpoint = await store.checkpoints.get(s);
    expect(checkpoint?.kv).toMatchObject({ handle: 'left', canary: null });
    expect(checkpoint?.receipt).toMatchObject({ verdict: 'unobserved', content: { checksums: 'agreed' } });
    expect(engine.calls).not.toContain('measure');
    expect(kv.drop).not.toHaveBeenCalled();
    expect(cwm.outside.isUnsaved(s)).toBe(false);
  });

  it('is asked no second time for the same session meanwhile, and a turn of it waits', async () => {
    const { cwm, left, leave, store, stored } = await leaving();
    await left();
    // It is written, whatever is left to do.
    expect(await left()).toBe(true);
    expect(leave).toHaveBeenCalledOnce();
    const turn = cwm.send({ session: 's', text: 'And why?' });
    stored();
    await turn;
    expect((await store.checkpoints.get(s))?.kv.handle).toBe('left');
  });

  it('writes for a client that left, too, and the next one finds the checkpoint', async () => {
    const { cwm, left, leave, kv, store, stored } = await leaving();
    const client = new AbortController();
    const { promise, resolve } = Promise.withResolvers<typeof kv>();
    leave.mockReturnValue(promise);
    const asked = left(client.signal);
    await eventually(() => expect(leave).toHaveBeenCalled());
    client.abort(new CwmError('Cancelled', 'The client left.'));
    await expect(asked).rejects.toThrow('The client left.');
    resolve(kv);
    stored();
    await cwm.settled();
    expect((await store.checkpoints.get(s))?.kv.handle).toBe('left');
  });

  it('leaves nothing of a session that is deleted meanwhile', async () => {
    const { cwm, left, kv, store, stored } = await leaving();
    await left();
    await cwm.deleteSession({ session: 's' });
    stored();
    await cwm.settled();
    expect(kv.drop).toHaveBeenCalledOnce();
    expect(await store.checkpoints.get(s)).toBeNull();
  });

  it('that wrote before the backend ends: the checkpoint is made, whose turn is stored', async () => {
    const { cwm, left, store } = await leaving();
    await left();
    await cwm.close();
    expect((await store.checkpoints.get(s))?.kv.handle).toBe('left');
  });

  it('of whose file nothing may be recorded keeps nothing, and the next save is made as before', async () => {
    const { cwm, left, kv, engine, store, stored } = await leaving();
    vi.spyOn(store.checkpoints, 'put').mockRejectedValueOnce(new CwmError('StorageFull', 'The disk is full.'));
    await left();
    stored();
    await cwm.settled();
    expect(kv.take).toHaveBeenCalledOnce();
    expect(engine.forgottenHandles).toContain('left');
    expect(await store.checkpoints.get(s)).toBeNull();
    expect(cwm.outside.isUnsaved(s)).toBe(true);
  });

  it('stays stored where what it replaces cannot be deleted', async () => {
    const { cwm, left, kv, engine, store, stored } = await leaving();
    stored();
    await left();
    await cwm.settled();
    await cwm.send({ session: 's', text: 'And why?' });
    cwm.outside.tookEngine(engine.spec, s);
    const { take } = kv;
    kv.take = vi.fn(async (context) => ({ ...(await take(context)), handle: 'left later' }));
    vi.spyOn(store.blocks, 'recordsOfLineage').mockRejectedValueOnce(new CwmError('Corrupted', 'It is damaged.'));
    await left();
    await cwm.settled();
    expect((await store.checkpoints.get(s))?.kv.handle).toBe('left later');
    expect(engine.forgottenHandles).not.toContain('left later');
  });

  it.each(['loadTokens', 'get'] as const)('leaves no file of a session that cannot be read (%s)', async (read) => {
    const { cwm, store, left, kv, stored } = await leaving();
    await left();
    vi.spyOn(store.sessions, read).mockRejectedValueOnce(new CwmError('Corrupted', 'It is damaged.'));
    stored();
    await cwm.settled();
    expect(kv.take).not.toHaveBeenCalled();
    expect(kv.drop).toHaveBeenCalledOnce();
    expect(await store.checkpoints.get(s)).toBeNull();
  });

  it('leaves no file that could not get its name', async () => {
    const { cwm, left, kv, stored } = await leaving();
    kv.take.mockRejectedValueOnce(new Error('EIO'));
    await left();
    stored();
    await cwm.settled();
    expect(kv.drop).toHaveBeenCalledOnce();
  });

  it('costs the conversation that comes nothing where the record of the one that leaves is damaged', async () => {
    const { store, left, leave } = await leaving();
    vi.spyOn(store.projects, 'isRecorded').mockRejectedValueOnce(new CwmError('Corrupted', 'It is damaged.'));
    expect(await left()).toBe(false);
    expect(leave).not.toHaveBeenCalled();
  });

  it('is asked as before where it does not write, or nothing may be recorded of the session', async () => {
    const { left, leave, cwm } = await leaving();
    leave.mockResolvedValueOnce(null).mockRejectedValueOnce(new CwmError('EngineUnavailable', 'Nothing answers.'));
    expect(await left()).toBe(false);
    await cwm.settled();
    expect(await left()).toBe(false);
    await cwm.settled();
    await cwm.autoFreezeConfig({ enabled: false });
    expect(await left()).toBe(false);
    expect(leave).toHaveBeenCalledTimes(2);
  });

  it('is asked beforehand what it is, and the checksum of what it will read is looked at, once each', async () => {
    const { cwm, left, stored, engine } = await leaving();
    await left();
    stored();
    await cwm.settled();
    const checksums = (): number => engine.calls.filter((call) => call === 'checksum').length;
    const described = vi.spyOn(engine, 'describe');
    engine.calls = [];
    await cwm.outside.lookAhead(s);
    await cwm.outside.lookAhead(sessionId('t'));
    expect(checksums()).toBe(1);
    const asked = described.mock.calls.length;
    cwm.outside.tookEngine(engine.spec, sessionId('t'));
    Object.assign(engine, {
      restore: vi.fn(async (_context: KvContext, _signal: AbortSignal, isSound?: () => Promise<boolean>) => ({
        outcome: (await isSound?.()) ? 'restored' : 'missing',
        notes: [],
      })),
    });
    const known = { spec: engine.spec, description: { kind: 'llama-server' } } as const;
    await cwm.outside.makeReady(s, never(), { known });
    expect(checksums()).toBe(1);
    expect(described).toHaveBeenCalledTimes(asked);
    expect(engine.calls).not.toContain('measure');
  });
});
