import { setImmediate } from 'node:timers/promises';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { sessionId } from '../../support/ids.ts';
import { coreFixture, never } from '../coreFixture.ts';
import { FakeEngine } from '../fakeEngine.ts';

const text = 'What is ice? '.repeat(20);

async function talking(ids: readonly string[] = ['s']) {
  const fixture = await coreFixture({}, undefined, (own) => ({ ...own, checkpoints: { enabled: true, idleMs: 0 } }));
  for (const id of ids) {
    await fixture.cwm.createSession({ id, project: 'file:///p' });
    await fixture.cwm.send({ session: id, text, maxTokens: 4 }, never());
  }
  const presentOf = async (session: string): Promise<number> => {
    const { store, engine } = fixture;
    const record = await store.sessions.get(sessionId(session));
    if (!record?.tokens) throw new Error('It has no tokens.');
    const ids = await store.sessions.loadTokens(record.id, record.tokens.sha256);
    const { salt } = await store.lineages.get(record.lineage);
    const located = await engine.locate({ ids, salt, handle: null }, never());
    return located.reachable ? located.blocks.filter(({ stat }) => stat !== null).length : -1;
  };
  return { ...fixture, presentOf };
}

describe('deleting a session', () => {
  it('deletes its checkpoint and the KV that only it needs; that of a copy stays', async () => {
    const { cwm, engine, presentOf, store } = await talking();
    await cwm.freeze({ session: 's', window: 'w', checkpoint: true }, never());
    const copy = (await cwm.thaw({ window: 'w', session: 'copy' }, never())).session;
    expect(copy).toBe('copy');
    const before = await presentOf('copy');
    expect(before).toBeGreaterThan(0);
    await cwm.deleteSession({ session: 's', cascade: true }, never());
    expect(await store.checkpoints.get(sessionId('s'))).toBeNull();
    expect(await presentOf('copy')).toBe(before);
    expect((await cwm.deleteSession({ session: 'copy' }, never())).kvBytesFreed).toBeGreaterThan(0);
    expect(engine.calls).toContain('forget');
  });

  it('says what it could not reach, and is done all the same', async () => {
    const { cwm, engine } = await talking();
    engine.filesAreElsewhere = true;
    expect(await cwm.deleteSession({ session: 's' }, never())).toEqual({
      unreached: [{ engine: engine.spec, why: 'The block files are on another machine.' }],
    });
    expect((await cwm.listTrash()).items.map(({ name }) => name)).toEqual(['s']);
  });

  it('deletes the KV on a server that it used before, and names that where it cannot be reached', async () => {
    const before = Object.assign(new FakeEngine(), { spec: 'http://before' });
    const fixture = await coreFixture({}, undefined, (own) => ({
      ...own,
      engines: { ...own.engines, get: (spec) => (spec === before.spec ? before : own.engines.get(spec)) },
    }));
    const { cwm, engine } = fixture;
    for (const id of ['s', 't']) {
      await cwm.createSession({ id, engine: before.spec });
      await cwm.send({ session: id, text: `${id} ${text}`, maxTokens: 4 }, never());
      await cwm.freeze({ session: id, window: id, checkpoint: true }, never());
      await cwm.deleteWindow({ window: id, keepBlocks: true }, never());
      await cwm.send({ session: id, text: 'And now?', maxTokens: 4, engine: engine.spec }, never());
    }
    expect((await cwm.getSession({ session: 's' })).formerEngines).toEqual([before.spec]);
    const both = before.diskBlocks;
    await cwm.deleteSession({ session: 's' }, never());
    const left = before.diskBlocks;
    expect(left).toBeLessThan(both);
    expect(left).toBeGreaterThan(0);
    before.filesAreElsewhere = true;
    expect((await cwm.deleteSession({ session: 't' }, never())).unreached).toEqual([
      { engine: before.spec, why: 'The block files are on another machine.' },
    ]);
    expect(before.diskBlocks).toBe(left);
    expect(engine.diskBlocks).toBe(0);
  });

  it('asks all servers that it used at once, under one limit, and names each that did not answer', async () => {
    const former = ['http://one', 'http://two', 'http://three'].map((spec) =>
      Object.assign(new FakeEngine(), { spec }),
    );
    const fixture = await coreFixture({}, undefined, (own) => ({
      ...own,
      engines: { ...own.engines, get: (spec) => former.find((each) => each.spec === spec) ?? own.engines.get(spec) },
    }));
    const { cwm, engine } = fixture;
    await cwm.createSession({ id: 's', engine: former[0]?.spec ?? '' });
    for (const { spec } of [...former, engine])
      await cwm.send({ session: 's', text, maxTokens: 4, engine: spec }, never());
    await cwm.freeze({ session: 's', window: 'w', checkpoint: true }, never());
    await cwm.deleteWindow({ window: 'w', keepBlocks: true }, never());
    const [one, two, three] = former;
    const limits = vi.spyOn(AbortSignal, 'timeout');
    const limit = new AbortController();
    limits.mockReturnValue(limit.signal);
    const asked: string[] = [];
    // Two hang, one of them whatever it is told; the third one answers.
    const hangs = (each: FakeEngine | undefined, heeds: boolean): void => {
      if (!each) return;
      each.locate = (_, signal) => {
        asked.push(each.spec);
        return new Promise((_resolve, reject) => {
          if (heeds) signal.addEventListener('abort', () => reject(signal.reason as Error));
        });
      };
    };
    hangs(one, true);
    hangs(two, false);
    const deleting = cwm.deleteSession({ session: 's' }, never());
    await expect.poll(() => [asked.length, three?.diskBlocks, engine.diskBlocks]).toEqual([2, 0, 0]);
    // Those that answered have deleted their blocks; what they return is on its way.
    for (let turn = 0; turn < 200; turn++) await setImmediate();
    limit.abort(new DOMException('late', 'TimeoutError'));
    limits.mockRestore();
    const { unreached, kvBytesFreed } = await deleting;
    const why = 'It did not answer in time.';
    expect(unreached).toHaveLength(2);
    expect(unreached).toEqual(
      expect.arrayContaining([one, two].map((each) => ({ engine: each?.spec, why }))) as unknown,
    );
    expect(kvBytesFreed).toBeGreaterThan(0);
    expect([three?.diskBlocks, engine.diskBlocks]).toEqual([0, 0]);
  });

  it('deletes the KV of earlier prompts, and of an earlier salt', async () => {
    const { cwm, engine, store } = await talking();
    const session = await store.sessions.get(sessionId('s'));
    if (!session?.tokens) throw new Error('It has no tokens.');
    const { salt } = await store.lineages.get(session.lineage);
    const ids = await store.sessions.loadTokens(session.id, session.tokens.sha256);
    const earlier = ids.toReversed();
    await store.sessions.saveTokens(session.id, earlier);
    for (const of of [ids, earlier]) await engine.persist({ ids: of, salt, handle: null }, never());
    await store.lineages.advance(session.lineage, 0);
    expect(await cwm.deleteSession({ session: 's' }, never())).not.toHaveProperty('unreached');
    expect(engine.diskBlocks).toBe(0);
  });

  it('releases the handle of a checkpoint whose files are out of sight, unless a window names it', async () => {
    const { cwm, engine } = await talking(['s', 't']);
    Object.assign(engine, { filesAreElsewhere: true, handle: 'pin' });
    await cwm.closeProject({ project: 'file:///p' }, never());
    const forget = vi.spyOn(engine, 'forget');
    expect((await cwm.deleteSession({ session: 't', cascade: true }, never())).unreached).toHaveLength(1);
    expect(engine.forgottenHandles).toEqual(['pin']);
    expect(forget.mock.calls[0]?.[0]).toMatchObject({ handle: 'pin', context: { ids: expect.any(Array) } });
  });

  it('tells a client that cancelled it behind the deletion what is left', async () => {
    const { cwm, engine } = await talking();
    const cancelled = new AbortController();
    engine.locate = async (_, signal) => {
      cancelled.abort();
      signal.throwIfAborted();
      return { reachable: true, blocks: [] };
    };
    expect(await cwm.deleteSession({ session: 's' }, cancelled.signal)).toEqual({
      unreached: [{ engine: engine.spec, why: 'The deletion was cancelled before it had answered.' }],
    });
  });

  it.each([['a checkpoint of another session'], ['a window']])(
    "deletes the embedded engine's blocks below the storage directory without starting it, by the form that %s recorded",
    async (recorded) => {
      const before = Object.assign(new FakeEngine(), { spec: 'embedded:/m.gguf', kind: 'embedded' });
      const fixture = await coreFixture({}, undefined, (own) => ({
        ...own,
        checkpoints: { enabled: true, idleMs: 0 },
        blocks: before.blockCache(),
        engines: { ...own.engines, get: (spec) => (spec === before.spec ? before : own.engines.get(spec)) },
      }));
      const { cwm, engine } = fixture;
      for (const id of ['s', 't']) {
        await cwm.createSession({ id, engine: before.spec, project: 'file:///p' });
        await cwm.send({ session: id, text: `${id} ${text}`, maxTokens: 4 }, never());
        await cwm.freeze({ session: id, window: id, checkpoint: true }, never());
      }
      // What would tell how the engine names the blocks of `s` stays of `t` alone.
      await cwm.deleteWindow({ window: 's', keepBlocks: true }, never());
      await cwm.send({ session: 's', text: 'And now?', maxTokens: 4, engine: engine.spec }, never());
      if (recorded !== 'a window') {
        await cwm.closeProject({ project: 'file:///p' }, never());
        await cwm.deleteWindow({ window: 't', keepBlocks: true }, never());
      }
      const both = before.diskBlocks;
      before.calls.length = 0;
      const { unreached } = await cwm.deleteSession({ session: 's', cascade: true }, never());
      expect(unreached).toBeUndefined();
      expect(before.calls).toEqual([]);
      expect(before.diskBlocks).toBeLessThan(both);
      expect(before.diskBlocks).toBeGreaterThan(0);
      expect(await cwm.send({ session: 't', text: 'And you?', maxTokens: 4 }, never())).toMatchObject({ text: 'fine' });
    },
  );

  it('says that KV of prompts with pictures cannot be looked for', async () => {
    const { cwm, engine, store } = await talking();
    const session = await store.sessions.get(sessionId('s'));
    if (!session?.tokens) throw new Error('It has no tokens.');
    const tokens = { ...session.tokens, media: true };
    await store.sessions.update({ ...session, tokens, version: session.version + 1 });
    const { unreached } = await cwm.deleteSession({ session: 's' }, never());
    expect(unreached).toEqual([{ engine: engine.spec, why: expect.stringContaining('pictures') }]);
  });

  it('S0-50 a slow engine stops neither a freeze nor a deletion of another session', async () => {
    const { cwm, engine, store } = await talking(['s', 't']);
    await cwm.closeProject({ project: 'file:///p' }, never());
    const asked = Promise.withResolvers<void>();
    const held = Promise.withResolvers<void>();
    const forget = engine.forget.bind(engine);
    engine.forget = async (...given) => {
      asked.resolve();
      await held.promise;
      return forget(...given);
    };
    const deleting = cwm.deleteSession({ session: 's' }, never());
    await asked.promise;
    // Its records are gone, and no lock is held while the engine works.
    expect(await store.sessions.get(sessionId('s'))).toBeNull();
    await cwm.prune({ keep: 0 }, never());
    await cwm.freeze({ session: 't', window: 'w', checkpoint: true }, never());
    await cwm.pinWindow({ window: 'w', pinned: true });
    held.resolve();
    await deleting;
  });

  it('forever leaves neither its text nor its ids on the disk, and the rest of the trash alone', async () => {
    const { cwm, directory } = await talking(['s', 't']);
    for (const window of ['w', 'before']) await cwm.freeze({ session: 's', window, checkpoint: true }, never());
    // Its token ids are the text in another form.
    await cwm.deleteWindow({ window: 'before' }, never());
    await cwm.deleteSession({ session: 't' }, never());
    await cwm.deleteSession({ session: 's', cascade: true, forever: true }, never());
    expect((await cwm.listTrash()).items.map(({ name }) => name)).toEqual(['t']);
    await cwm.emptyTrash({ all: true });
    const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const holding = files.filter((file) =>
      readFileSync(path.join(file.parentPath, file.name)).includes('What is ice?'),
    );
    expect(holding.map(({ name }) => name)).toEqual([]);
  });

  it('forever is refused to a program that acts without a person', async () => {
    const { cwm } = await coreFixture({}, undefined, (own) => ({
      ...own,
      caller: () => ({ client: 'mcp.1', isAgent: true }),
    }));
    await cwm.createSession({ id: 's' });
    await expect(cwm.deleteSession({ session: 's', forever: true }, never())).rejects.toMatchObject({
      name: 'AccessDenied',
    });
    expect((await cwm.getSession({ session: 's' })).id).toBe('s');
  });
});
