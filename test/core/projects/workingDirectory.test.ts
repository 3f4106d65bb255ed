import { describe, expect, it } from 'vitest';
import type { Caller } from '../../../src/core/ports/projects.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import { codeOf, coreFixture, never } from '../coreFixture.ts';
import { fakeFolders } from '../fakeFolders.ts';

const person = (client: string): Caller => ({ client, isAgent: false });

/** What the project's file says is by folder: of `file:///strict` its name is in it. */
async function working(says: (folder: string) => object | null = () => null) {
  let caller = person('cli.1');
  const fixture = await coreFixture({}, undefined, (own) => ({
    ...own,
    folders: fakeFolders(says),
    caller: () => caller,
  }));
  return { ...fixture, as: (next: Caller) => void (caller = next) };
}

describe('S2-02 S2-07 where a client works', () => {
  it('says which project that is, how it was found, and what is open there', async () => {
    const { cwm } = await working((folder) => (folder.endsWith('/a') ? { project: { name: 'Alpha' } } : null));
    expect(await cwm.workingDirectory({}, never())).toEqual({ context: null });
    expect(await cwm.setWorkingDirectory({ directory: '/a' }, never())).toMatchObject({
      client: 'cli.1',
      workingDirectory: '/a',
      configFound: true,
      configPath: 'file:///a/.cwm/config.json',
      resolution: { tier: 'config', project: 'file:///a', name: 'Alpha' },
      currentSession: null,
      autoSwitch: true,
      strictMode: false,
      dryRun: false,
    });
    await cwm.createSession({ id: 's', project: 'file:///a' });
    await cwm.createSession({ id: 'elsewhere', project: 'file:///b' });
    await cwm.send({ session: 's', text: 'What is ice?' }, never());
    await cwm.freeze({ session: 's', window: 'w', checkpoint: true }, never());
    const { context } = await cwm.workingDirectory({}, never());
    expect(context).toMatchObject({ currentSession: 's', currentWindow: 'w' });
    expect(context?.openSessions.map(({ session }) => session)).toEqual(['s']);
    await cwm.deleteSession({ session: 's', cascade: true }, never());
    expect((await cwm.workingDirectory({}, never())).context?.openSessions).toEqual([]);
  });

  it('S2-11 is found by the first tier that has an answer, and each answer says which', async () => {
    const { cwm } = await working((folder) => (folder.endsWith('/a') ? {} : null));
    const tier = async (directory: string, project?: string) =>
      (await cwm.setWorkingDirectory({ directory, ...(project && { project }) }, never())).resolution;
    expect(await tier('/a', 'file:///x')).toMatchObject({ tier: 'explicit', project: 'file:///x' });
    expect(await tier('/a')).toMatchObject({ tier: 'config', project: 'file:///a' });
    expect(await tier('/b')).toMatchObject({ tier: 'default', project: 'file:///b' });
    await cwm.createSession({ project: 'file:///b' });
    expect(await tier('/b')).toMatchObject({ tier: 'registry', project: 'file:///b' });
    expect((await cwm.openProject({ project: 'file:///b' }, never())).resolution).toMatchObject({ tier: 'registry' });
  });

  it('S2-05 is its own for each client', async () => {
    const { cwm, as } = await working();
    await cwm.setWorkingDirectory({ directory: '/a' }, never());
    as(person('cli.2'));
    await cwm.setWorkingDirectory({ directory: '/c' }, never());
    expect((await cwm.listClients()).items.map((each) => [each.client, each.workingDirectory])).toEqual([
      ['cli.2', '/c'],
      ['cli.1', '/a'],
    ]);
    as(person('cli.1'));
    expect((await cwm.workingDirectory({}, never())).context?.workingDirectory).toBe('/a');
    as(person('cli.3'));
    expect((await cwm.workingDirectory({}, never())).context).toBeNull();
  });

  it('S0-60 an agent learns that a file is bad, and nothing that is in it', async () => {
    const { cwm, as } = await working(() => {
      throw new CwmError('InvalidParameter', '/a/.cwm/config.json is not used: "plums".', {
        context: { path: '/a/.cwm/config.json' },
      });
    });
    await expect(cwm.setWorkingDirectory({ directory: '/a' }, never())).rejects.toThrow('plums');
    as({ client: 'mcp.1', isAgent: true });
    const asked = cwm.setWorkingDirectory({ directory: '/a' }, never());
    await expect(asked).rejects.toThrow('/a/.cwm/config.json is not used, since it is wrong.');
  });
});

describe('S2-12 strict_mode', () => {
  it('refuses changes of another project by their session, window or project, and reads, switches and changes of the own', async () => {
    const { cwm, as } = await working((folder) => (folder.endsWith('/strict') ? { strict_mode: true } : null));
    await cwm.createSession({ id: 'other', project: 'file:///other' });
    await cwm.send({ session: 'other', text: 'What is ice?' }, never());
    await cwm.freeze({ session: 'other', window: 'w', checkpoint: true }, never());
    await cwm.createSession({ id: 'own', project: 'file:///strict' });
    await cwm.createSession({ id: 'loose' });
    await cwm.setWorkingDirectory({ directory: '/strict' }, never());
    const refused = 'CWM-3101';
    expect(await codeOf(cwm.send({ session: 'other', text: 'x' }, never()))).toBe(refused);
    expect(await codeOf(cwm.send({ session: ' other ', text: 'x' }, never()))).toBe(refused);
    expect(await codeOf(cwm.thaw({ window: 'w' }, never()))).toBe(refused);
    expect(await codeOf(cwm.deleteWindow({ window: 'w' }, never()))).toBe(refused);
    expect(await codeOf(cwm.createSession({ project: 'file:///other/' }))).toBe(refused);
    expect(await codeOf(cwm.setCurrentSession({ project: 'file:///strict', session: 'other' }))).toBe(refused);
    expect(await codeOf(cwm.getSession({ session: 'other' }))).toBe('no error');
    expect(await codeOf(cwm.send({ session: 'own', text: 'x' }, never()))).toBe('no error');
    expect(await codeOf(cwm.send({ session: 'loose', text: 'x' }, never()))).toBe('no error');
    expect(await codeOf(cwm.send({ session: '../own', text: 'x' }, never()))).toBe('CWM-1001');
    as(person('cli.2'));
    expect(await codeOf(cwm.send({ session: 'other', text: 'x' }, never()))).toBe('no error');
    as(person('cli.1'));
    await cwm.openProject({ project: 'file:///other' }, never());
    expect(await codeOf(cwm.send({ session: 'other', text: 'x' }, never()))).toBe('no error');
  });
});

describe('S2-12 dry_run', () => {
  it('says what opening would do, and neither opening nor leaving changes anything', async () => {
    const { cwm, engine } = await working(() => ({ dry_run: true }));
    expect((await cwm.openProject({ project: 'file:///a' }, never())).warming?.why).toContain('There is no session');
    await cwm.createSession({ id: 's', project: 'file:///a', title: 'Ice' });
    await cwm.send({ session: 's', text: 'What is ice?' }, never());
    engine.calls = [];
    const { warming } = await cwm.openProject({ project: 'file:///a' }, never());
    expect(warming?.why).toContain('The KV of "Ice" would be brought back.');
    expect(await cwm.closeProject({ project: 'file:///a' }, never())).toMatchObject({ receipt: null, session: 's' });
    await cwm.settled();
    expect(engine.calls).toEqual([]);
  });
});

describe('what new sessions have of their project', () => {
  const says = {
    system_prompt: 'Be brief.',
    engine: 'http://a',
    model: 'm',
    tools: { policy: 'manual' },
  };

  it('S2-15 a folder that nobody trusts chooses no server and no tools, and the answer says so', async () => {
    const { cwm, engine } = await working(() => says);
    const { notes, settings, engine: spec } = await cwm.createSession({ project: 'file:///a' });
    expect(settings).toEqual({ systemPrompt: { id: 'project', text: 'Be brief.' } });
    expect(spec).toBe(engine.spec);
    expect(notes).toEqual([expect.stringContaining('"engine", "model", "tools" of its .cwm/config.json are not used')]);
  });

  it('a folder that is trusted chooses them; what the caller gives comes first', async () => {
    const { cwm, engine } = await working(() => ({ ...says, engine: undefined, model: undefined }));
    await cwm.trustProject({ project: 'file:///a', trusted: true });
    expect((await cwm.createSession({ project: 'file:///a' })).settings?.tools).toEqual({ policy: 'manual' });
    const given = await cwm.createSession({
      project: 'file:///a',
      systemPrompt: 'default',
      tools: { policy: 'auto-loop' },
    });
    expect(given.settings).toEqual({ systemPrompt: { id: 'default', text: '' }, tools: { policy: 'auto-loop' } });
    const other = await working(() => says);
    await other.cwm.trustProject({ project: 'file:///a', trusted: true });
    // The fixture has one engine: that another one is asked for shows in the refusal.
    await expect(other.cwm.createSession({ project: 'file:///a' })).rejects.toThrow('"http://a#model=m" is no engine');
    expect((await other.cwm.createSession({ project: 'file:///a', engine: engine.spec })).engine).toBe(engine.spec);
  });

  it('S2-11 a configuration that is bad stops the creation', async () => {
    const { cwm } = await working(() => ({ auto_switch: 'yes' }));
    await expect(cwm.createSession({ project: 'file:///a' })).rejects.toThrow();
  });

  it('S0-60 an agent gets them only in the folder that it works in', async () => {
    const { cwm, as } = await working(() => says);
    as({ client: 'mcp.1', isAgent: true });
    const created = () => cwm.createSession({ project: 'file:///a' });
    expect((await created()).settings).toEqual({});
    await cwm.setWorkingDirectory({ directory: '/a' }, never());
    expect((await created()).settings?.systemPrompt?.text).toBe('Be brief.');
  });
});
