import { describe, expect, it, vi } from 'vitest';
import { familyOf, lineageOn, newLineage, saltOf } from '../../../src/core/ports/lineages.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import { parseProjectUri } from '../../../src/protocol/ids.ts';
import { never } from '../coreFixture.ts';
import { code, project, projectWith } from './projectWith.ts';

const uri = parseProjectUri(project);
describe("a project's base", () => {
  it('is a window of its own, and new sessions begin with it and share its KV', async () => {
    const { cwm, make, store } = await projectWith();
    const { base, receipt } = await make();
    expect(receipt).toMatchObject({ operation: 'freeze', window: base.window, tokens: base.tokens });
    expect(base.files.map(({ path }) => path)).toEqual(['a.ts', 'b.ts', 'c.ts']);
    expect((await cwm.getWindow({ window: base.window })).summary.pinned).toBe(true);
    expect((await cwm.currentSession({ project })).session).toBeNull();
    const one = await cwm.createSession({ project, sampling: { temperature: 0.5 } });
    const other = await cwm.createSession({ project });
    expect(one).toMatchObject({ base: base.window, lifecycle: 'active', tokens: { count: base.tokens } });
    expect(one.settings).toEqual({
      systemPrompt: { id: 'project', text: 'Be brief.' },
      sampling: { temperature: 0.5 },
    });
    for (const { id } of [one, other]) {
      const { cachedTokens } = await cwm.send({ session: id, text: 'What is a0?' }, never());
      expect(cachedTokens).toBeGreaterThan(base.tokens - 8);
    }
    const salts = await Promise.all([one, other].map(async ({ lineage }) => (await store.lineages.get(lineage)).salt));
    expect(new Set([...salts, (await store.lineages.get(base.lineage)).salt]).size).toBe(1);
    const { items } = await cwm.listMessages({ session: one.id });
    expect(items.map(({ content }) => content.type)).toEqual(['context', 'text', 'text']);
  });

  it('has the memories of the user and the project at its end, where that was asked for, and says when they changed', async () => {
    const { cwm, make } = await projectWith();
    await cwm.remember({ scope: 'user', text: 'Prefer short answers.' });
    await cwm.remember({ scope: 'project', project, text: 'The build is slow.' });
    expect((await make()).base.files.map(({ path }) => path)).toEqual(['a.ts', 'b.ts', 'c.ts']);
    const { base } = await make({ memories: true });
    expect(base.files.map(({ path }) => path)).toEqual(['a.ts', 'b.ts', 'c.ts', 'memories:']);
    const { id } = await cwm.createSession({ project });
    const { items } = await cwm.listMessages({ session: id });
    expect(JSON.stringify(items[0]?.content)).toContain('- Prefer short answers.\\n- The build is slow.');
    await cwm.remember({ scope: 'project', project, text: 'The tests are quick.' });
    const { changes } = await cwm.projectBase({ project }, never());
    expect(changes).toMatchObject({ changed: ['memories:'], added: [], removed: [] });
    // What stands before the memories is shared.
    expect(changes?.sharedTokens).toBeGreaterThan(base.tokens / 2);
    const renewed = await make();
    expect(renewed.base.memories).toBe(true);
    expect((await make({ memories: false })).base.files).toHaveLength(3);
  });

  it('on a llama-server is brought back before the first message, where something else had its memory since', async () => {
    const { cwm, make, engine } = await projectWith();
    [engine.kind, engine.handle] = ['llama-server', 'slot-1'];
    const { base } = await make();
    const [one, other] = [await cwm.createSession({ project }), await cwm.createSession({ project })];
    engine.restart();
    // As after a restart of the backend, which knows nothing of who had the server.
    cwm.outside.tookEngine(engine.spec, null);
    const restores = async (session: string): Promise<number> => {
      engine.calls = [];
      const { cachedTokens } = await cwm.send({ session, text: 'What is a0?' }, never());
      expect(cachedTokens).toBeGreaterThan(base.tokens - 8);
      return engine.calls.filter((call) => call === 'restore').length;
    };
    expect(await restores(one.id)).toBe(1);
    expect(await restores(one.id)).toBe(0);
    const { id } = await cwm.createSession({});
    await cwm.send({ session: id, text: 'Something else.' }, never());
    expect(await restores(other.id)).toBe(1);
  });

  it('on a llama-server is not brought back for a session that follows another one on it', async () => {
    const { cwm, make, engine } = await projectWith();
    [engine.kind, engine.handle] = ['llama-server', 'slot-1'];
    await make();
    for (let at = 0; at < 2; at++) {
      const { id } = await cwm.createSession({ project });
      engine.calls = [];
      await cwm.send({ session: id, text: 'What is a0?' }, never());
      expect(engine.calls).not.toContain('restore');
    }
  });

  it('S0-61 is no part of a session that has a system prompt, tools or a server of its own, or asks for none', async () => {
    const { cwm, make, store } = await projectWith();
    const { base } = await make();
    await cwm.putPrompt({ prompt: 'mine', text: 'Be long.' });
    for (const own of [{ systemPrompt: 'mine' }, { withoutBase: true }, { tools: { policy: 'manual' as const } }]) {
      const session = await cwm.createSession({ project, ...own });
      expect(session.base).toBeUndefined();
      expect(session.tokens).toBeNull();
      expect((await store.lineages.get(session.lineage)).salt).not.toBe((await store.lineages.get(base.lineage)).salt);
    }
    expect((await cwm.createSession({ project: 'file:///b' })).base).toBeUndefined();
    expect((await cwm.createSession({})).base).toBeUndefined();
  });

  it('S0-60 is no part of a session that an agent creates for a folder where it does not work', async () => {
    const { cwm, make, caller } = await projectWith();
    const { base } = await make();
    caller.current = { client: 'mcp.1', isAgent: true };
    const strange = await cwm.createSession({ project });
    expect(strange.base).toBeUndefined();
    expect((await cwm.listMessages({ session: strange.id })).items).toEqual([]);
    await cwm.setWorkingDirectory({ directory: '/a' }, never());
    expect((await cwm.createSession({ project })).base).toBe(base.window);
  });

  it('S0-60 gives its tools only while the folder is trusted', async () => {
    const { cwm, make } = await projectWith({ tools: { policy: 'auto-approve' } });
    await cwm.trustProject({ project, trusted: true });
    const { base } = await make();
    expect(await cwm.createSession({ project })).toMatchObject({
      base: base.window,
      settings: { tools: { policy: 'auto-approve' } },
    });
    const toolsChanged = async () => (await cwm.projectBase({ project }, never())).changes;
    expect(await toolsChanged()).toMatchObject({ toolsChanged: false, sharedTokens: base.tokens });
    await cwm.trustProject({ project, trusted: false });
    expect(await toolsChanged()).toMatchObject({ toolsChanged: true, sharedTokens: null });
    const { base: begun, settings } = await cwm.createSession({ project });
    expect([begun, settings?.tools]).toEqual([undefined, undefined]);
  });

  it('says what changed, and how many tokens a renewed one would share', async () => {
    const { cwm, make, disk } = await projectWith();
    const look = async () => (await cwm.projectBase({ project }, never())).changes;
    const { base } = await make();
    const nothing = { changed: [], added: [], removed: [], systemChanged: false, toolsChanged: false };
    expect(await look()).toEqual({ ...nothing, sharedTokens: base.tokens });
    disk.set('c.ts', `${code('c')}\n// changed`);
    disk.set('d.ts', code('d'));
    const late = await look();
    expect(late).toMatchObject({ ...nothing, changed: ['c.ts'], added: ['d.ts'] });
    disk.delete('a.ts');
    const early = await look();
    expect(early).toMatchObject({ removed: ['a.ts'] });
    expect(late?.sharedTokens).toBeGreaterThan(base.tokens / 2);
    expect(late?.sharedTokens).toBeLessThan(base.tokens);
    expect(early?.sharedTokens).toBeLessThan(late?.sharedTokens ?? 0);
  });

  it('is renewed from the first difference on: files stay in their order, and new ones follow', async () => {
    const { cwm, make, disk, store } = await projectWith();
    const first = await make();
    const held = await cwm.createSession({ project });
    disk.set('c.ts', code('changed'));
    disk.set('0.ts', code('zero'));
    const expected = (await cwm.projectBase({ project }, never())).changes?.sharedTokens ?? 0;
    const second = await make();
    expect(second.base.files.map(({ path }) => path)).toEqual(['a.ts', 'b.ts', 'c.ts', '0.ts']);
    expect(second.cachedTokens).toBe(expected);
    expect(second.base.lineage).toBe(first.base.lineage);
    // The session that began with the first one stays on it, and so does that window.
    expect((await cwm.send({ session: held.id, text: 'x' }, never())).cachedTokens).toBeGreaterThan(
      first.base.tokens - 8,
    );
    expect((await cwm.getSession({ session: held.id })).base).toBe(first.base.window);
    expect((await cwm.getWindow({ window: first.base.window })).summary.pinned).toBe(false);
    expect((await cwm.createSession({ project })).base).toBe(second.base.window);
    // Nobody began with the third.
    const third = await make();
    await make();
    expect(await store.windows.get(third.base.window)).toBeNull();
    expect(await store.sessions.get(third.base.session)).toBeNull();
  });

  it('is deleted: new sessions begin empty, and those on it stay', async () => {
    const { cwm, make, store } = await projectWith();
    const { base } = await make();
    const held = await cwm.createSession({ project });
    await cwm.deleteProjectBase({ project }, never());
    expect((await cwm.createSession({ project })).base).toBeUndefined();
    expect(await store.windows.get(base.window)).not.toBeNull();
    expect((await cwm.send({ session: held.id, text: 'x' }, never())).cachedTokens).toBeGreaterThan(0);
    await expect(cwm.deleteProjectBase({ project }, never())).rejects.toThrow('has no base');
  });

  it('leaves the base of before where it cannot be made, and nothing half done', async () => {
    const { cwm, make, engine, store, disk } = await projectWith();
    const { base } = await make();
    const sessions = (await cwm.listSessions({})).total;
    disk.set('a.ts', code('other'));
    engine.fault = 'EngineFailed';
    await expect(make()).rejects.toThrow();
    engine.fault = null;
    await expect(make({ paths: ['absent.ts'] })).rejects.toMatchObject({ name: 'PathNotFound' });
    expect((await store.projects.base(uri))?.window).toBe(base.window);
    expect((await cwm.listSessions({})).total).toBe(sessions);
  });

  it('takes no message in its own session', async () => {
    const { cwm, make, store } = await projectWith();
    const { base } = await make();
    for (const attempt of [
      () => cwm.send({ session: base.session, text: 'x' }, never()),
      () => cwm.prime({ session: base.session, paths: ['a.ts'] }, never()),
    ])
      await expect(attempt()).rejects.toMatchObject({ name: 'InvalidTransition' });
    expect(await store.sessions.get(base.session)).toMatchObject({ lifecycle: 'frozen', frozenAs: base.window });
  });

  it('that is replaced stays where somebody continued its session or has another window of it', async () => {
    const { cwm, make, store } = await projectWith();
    const { base: continued } = await make();
    await cwm.thaw({ window: continued.window, resume: true }, never());
    const { base: frozenAgain } = await make();
    expect(await store.sessions.get(continued.session)).toMatchObject({ lifecycle: 'thawed' });
    await cwm.send({ session: continued.session, text: 'x' }, never());
    await cwm.thaw({ window: frozenAgain.window, resume: true }, never());
    await cwm.freeze({ session: frozenAgain.session, window: 'mine' }, never());
    await make();
    expect((await cwm.thaw({ window: 'mine', resume: true }, never())).session).toBe(frozenAgain.session);
  });

  it('is made although the one before cannot be deleted, and says so', async () => {
    const { cwm, make, store } = await projectWith();
    const { base: before } = await make();
    const remove = vi
      .spyOn(store.sessions, 'delete')
      .mockRejectedValue(new CwmError('WriteFailed', 'The disk is gone.'));
    const { base, notes } = await make();
    remove.mockRestore();
    expect(notes.join()).toContain(`"${before.window}"`);
    expect((await store.projects.base(uri))?.window).toBe(base.window);
    expect((await cwm.createSession({ project })).base).toBe(base.window);
  });

  it('has rules behind the system prompt; one that is gone stops it with its own message', async () => {
    const { cwm, make, disk } = await projectWith({ rules: ['rules.md'], prime: ['a.ts'] });
    disk.set('rules.md', 'Never guess.\n');
    await make();
    const { settings } = await cwm.createSession({ project });
    expect(settings?.systemPrompt?.text).toBe('Be brief.\n\nNever guess.');
    disk.set('rules.md', 'Guess.\n');
    expect((await cwm.projectBase({ project }, never())).changes).toMatchObject({ systemChanged: true, changed: [] });
    disk.delete('rules.md');
    await expect(make()).rejects.toMatchObject({ name: 'PathNotFound' });
  });

  it('says to the disk who chose the paths: the configuration, or a person', async () => {
    const { make, disk, namers } = await projectWith({ rules: ['rules.md'] });
    disk.set('rules.md', 'Never guess.');
    await make();
    await make({ paths: ['a.ts'] });
    expect(Object.fromEntries(namers)).toEqual({ 'rules.md': 'configuration', '.': 'configuration', 'a.ts': 'user' });
  });

  it('is refused where the project wants its sessions apart, and where nothing is named', async () => {
    const { cwm, make, config } = await projectWith({ isolation: 'session' });
    await expect(make()).rejects.toThrow('"isolation": "session"');
    config.current = { prime: ['.'] };
    await make();
    config.current = { isolation: 'session' };
    expect((await cwm.createSession({ project })).base).toBeUndefined();
    config.current = { prime: [] };
    await expect(make()).rejects.toThrow('There is no file to make a base from');
  });
});

describe('damage and a base', () => {
  /** A session on the base that was talked in and frozen, with its window, and whether base and session share a salt. */
  async function frozenOnBase() {
    const fixture = await projectWith();
    const { base } = await fixture.make();
    const { id, lineage } = await fixture.cwm.createSession({ project });
    await fixture.cwm.send({ session: id, text: 'Please explain what a0 and b0 are good for, and why.' }, never());
    await fixture.cwm.freeze({ session: id, window: 'w' }, never());
    const generations = async () => [
      (await fixture.store.lineages.get(base.lineage)).generation,
      (await fixture.store.lineages.get(lineage)).generation,
    ];
    return { ...fixture, base, lineage, generations };
  }

  it.each([
    ['behind the base gives that session a lineage of its own, and leaves the base', 'behind', 0],
    ['in the base moves the base, so that no new session begins with it', 'within', 1],
  ])('%s', async (_, where, moved) => {
    const { cwm, engine, base, lineage, generations, store } = await frozenOnBase();
    expect(familyOf(lineage)).toBe(base.lineage);
    const inBase = (await store.windows.loadKv(base.window)).blocks.length;
    engine.restart();
    engine.damage(where === 'behind' ? inBase : 1, { silently: true });
    const receipt = await cwm.thaw({ window: 'w', resume: true }, never());
    expect(receipt).toMatchObject({ verdict: 'damaged', repair: 'salt-advanced' });
    expect(await generations()).toEqual([moved, 1]);
    engine.hasReusedWrongBytes = false;
    const next = await cwm.createSession({ project });
    expect((await store.lineages.get(next.lineage)).salt.endsWith('-1')).toBe(moved === 1);
    engine.restart();
    await cwm.send({ session: next.id, text: 'x' }, never());
    expect(engine.hasReusedWrongBytes).toBe(false);
    const again = await cwm.createSession({ project });
    await cwm.send({ session: again.id, text: 'x' }, never());
    expect(engine.hasReusedWrongBytes).toBe(false);
  });

  it('gives each session that leaves the salt of the base another one', () => {
    const base = newLineage();
    const moved = [base, lineageOn(base), lineageOn(base)].map((lineage) => saltOf({ ...lineage, generation: 1 }));
    expect(new Set([saltOf(base), ...moved]).size).toBe(4);
  });

  it.each(['adopted', 'renewed'])('behind a base that was %s since leaves the base', async (how) => {
    const { cwm, engine, base, generations, store, make, disk } = await frozenOnBase();
    const { blocks } = await store.windows.loadKv(base.window);
    if (how === 'adopted') await cwm.adoptProject({ project: 'file:///moved', from: project }, never());
    else {
      disk.set('a.ts', code('other'));
      await make();
    }
    engine.restart();
    engine.damage(blocks.length, { silently: true });
    expect(await cwm.thaw({ window: 'w', resume: true }, never())).toMatchObject({ repair: 'salt-advanced' });
    expect(await generations()).toEqual([0, 1]);
    const located = await engine.locate(
      {
        ids: await store.windows.loadTokens(base.window),
        salt: (await store.lineages.get(base.lineage)).salt,
        handle: null,
      },
      never(),
    );
    const present = located.reachable ? located.blocks.filter(({ stat }) => stat !== null) : [];
    expect(present.map(({ hash }) => hash)).toEqual(blocks.map(({ hash }) => hash));
  });

  it('a window of the base and one of a session on it share blocks: none that the other needs is deleted', async () => {
    const { cwm, engine, base, store } = await frozenOnBase();
    await cwm.deleteWindow({ window: 'w' }, never());
    const { blocks } = await store.windows.loadKv(base.window);
    const located = await engine.locate(
      {
        ids: await store.windows.loadTokens(base.window),
        salt: (await store.lineages.get(base.lineage)).salt,
        handle: null,
      },
      never(),
    );
    const present = located.reachable ? located.blocks.filter(({ stat }) => stat !== null) : [];
    expect(present.map(({ hash }) => hash)).toEqual(blocks.map(({ hash }) => hash));
  });
});
