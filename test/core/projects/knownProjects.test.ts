import { describe, expect, it, vi } from 'vitest';
import type { ProjectHints } from '../../../src/protocol/schemas/projectConfig.ts';
import { coreFixture, never } from '../coreFixture.ts';
import { fakeFolders } from '../fakeFolders.ts';
import { projectUri, sessionId } from '../../support/ids.ts';

interface Folder extends Partial<ProjectHints> {
  readonly id?: string;
  readonly isGone?: boolean;
}

const uuid = (digit: number): string => `${String(digit).repeat(8)}-0000-4000-8000-000000000000`;

/** Folders as a test says that they are, by their last name. */
async function withFolders(folders: Record<string, Folder>) {
  const of = (project: string): Folder => folders[project.slice(project.lastIndexOf('/') + 1)] ?? {};
  const fixture = await coreFixture({}, undefined, (own) => ({
    ...own,
    folders: {
      ...fakeFolders((folder) => {
        const { id } = of(folder);
        return id === undefined ? null : { project: { name: 'named', id } };
      }),
      hints: async (project) => ({ remote: of(project).remote ?? null, firstCommit: of(project).firstCommit ?? null }),
      exists: async (project) => !of(project).isGone,
    },
  }));
  const talked = async (name: string, ids: readonly string[]): Promise<void> => {
    for (const id of ids) await fixture.cwm.createSession({ id, project: `file:///${name}` });
  };
  const found = async (name: string) => fixture.cwm.findProject({ folder: `file:///${name}` }, never());
  return { ...fixture, talked, found };
}

describe('a project in another folder', () => {
  it('is proposed by its id, its first commit or its remote, the one whose folder is gone first', async () => {
    const { cwm, talked, found } = await withFolders({
      a: { firstCommit: 'c', remote: 'r' },
      b: { remote: 'r', isGone: true },
      c: { id: uuid(1) },
      other: { firstCommit: 'x', remote: 'y' },
      empty: { firstCommit: 'c' },
      here: { id: uuid(1), firstCommit: 'c', remote: 'r' },
    });
    await talked('a', ['a1', 'a2']);
    await talked('b', ['b1']);
    await talked('c', ['c1']);
    await talked('other', ['o1']);
    await talked('empty', ['e1']);
    await cwm.deleteSession({ session: 'e1' }, never());
    const { candidates } = await found('here');
    expect(candidates.map(({ project, why, sessions, isGone }) => [project, why, sessions, isGone])).toEqual([
      ['file:///b', 'remote', 1, true],
      ['file:///c', 'id', 1, false],
      ['file:///a', 'first-commit', 2, false],
    ]);
  });

  it('is only proposed: a hostile clone with the same history opens, lists and begins nothing of it', async () => {
    const { cwm, talked, found } = await withFolders({
      mine: { firstCommit: 'c', remote: 'r', id: uuid(1) },
      hostile: { firstCommit: 'c', remote: 'r', id: uuid(1) },
    });
    await talked('mine', ['m1']);
    const opened = await cwm.openProject({ project: 'file:///hostile' }, never());
    expect(opened).toMatchObject({ session: null, warming: null });
    expect((await cwm.currentSession({ project: 'file:///hostile' })).session).toBeNull();
    expect((await cwm.listSessions({ project: 'file:///hostile' })).total).toBe(0);
    expect((await found('hostile')).candidates).toHaveLength(1);
    // Nor does it appear as a project by being looked at.
    expect((await cwm.listProjects({}, never())).items.map(({ project }) => project)).toEqual(['file:///mine']);
  });

  it('is not proposed where the folder has sessions, nor where nothing is known of both', async () => {
    const { talked, found } = await withFolders({ a: { firstCommit: 'c' }, b: { firstCommit: 'c' } });
    await talked('a', ['a1']);
    expect((await found('nothing')).candidates).toEqual([]);
    expect((await found('b')).candidates).toHaveLength(1);
    await talked('b', ['b1']);
    expect((await found('b')).candidates).toEqual([]);
  });
});

describe('adopting a project', () => {
  it('moves its sessions, their windows and the current one; a thaw stays where the session is now', async () => {
    const { cwm, talked, store } = await withFolders({});
    await talked('old', ['s', 't']);
    await cwm.send({ session: 's', text: 'What is ice?' }, never());
    await cwm.freeze({ session: 's', window: 'w' }, never());
    await cwm.setCurrentSession({ project: 'file:///old', session: 's' });
    await cwm.trustProject({ project: 'file:///old', trusted: true });
    const before = (await cwm.listSessions({})).items.map(({ id }) => id);
    expect(await cwm.adoptProject({ project: 'file:///new', from: 'file:///old' }, never())).toMatchObject({
      sessions: 2,
    });
    expect((await cwm.listSessions({ project: 'file:///new' })).items.map(({ id }) => id)).toEqual(before);
    expect((await cwm.listSessions({ project: 'file:///old' })).total).toBe(0);
    expect((await cwm.listWindows({ project: 'file:///new' })).items.map(({ name }) => name)).toEqual(['w']);
    expect((await cwm.listWindows({ project: 'file:///old' })).total).toBe(0);
    // Wherever its project is shown, it is the one of now.
    expect((await cwm.listWindows({})).items.map(({ project }) => project)).toEqual(['file:///new']);
    expect((await cwm.getWindow({ window: 'w' })).summary.project).toBe('file:///new');
    expect((await store.windows.all()).map(({ project }) => project)).toEqual(['file:///new']);
    expect((await cwm.currentSession({ project: 'file:///new' })).session?.id).toBe('s');
    for (let times = 1; times <= 2; times++) expect((await cwm.thaw({ window: 'w' }, never())).session).toBe('s');
    expect((await cwm.listSessions({ project: 'file:///new' })).total).toBe(2);
    expect((await cwm.getSession({ session: 's' })).project).toBe('file:///new');
    // Trust is about a folder.
    expect((await cwm.findProject({ folder: 'file:///new' }, never())).trusted).toBe(false);
    expect((await cwm.listProjects({}, never())).items.map(({ project }) => project)).toEqual(['file:///new']);
    expect((await store.check.verify(never())).flatMap(({ problems }) => problems)).toEqual([]);
  });

  it('brings its memories along, under ids of their own; what both remember is there once', async () => {
    const { cwm, talked, store } = await withFolders({});
    await talked('old', ['s']);
    const [old, next] = ['file:///old', 'file:///new'];
    for (const text of ['Tests run with vitest.', 'Tabs.'])
      await cwm.remember({ scope: 'project', project: old, text });
    for (const text of ['Spaces.', 'Tabs.']) await cwm.remember({ scope: 'project', project: next, text });
    const said = async (project: string) =>
      (await cwm.listMemories({ project }, never())).items.map(({ id, text }) => `${id} ${text}`);
    // Interrupted behind the first one that came along.
    const changeNotes = store.memory.changeNotes.bind(store.memory);
    const spy = vi.spyOn(store.memory, 'changeNotes').mockImplementationOnce(async (...given) => {
      await changeNotes(...given);
      throw new Error('The disk is full.');
    });
    const adopt = () => cwm.adoptProject({ project: next, from: old }, never());
    await expect(adopt()).rejects.toThrow('The disk is full.');
    spy.mockRestore();
    expect(await adopt()).toMatchObject({ sessions: 1, memories: 2 });
    expect(await said(next)).toEqual(['p1 Spaces.', 'p2 Tabs.', 'p3 Tests run with vitest.']);
    expect(await said(old)).toEqual([]);
    // Memories alone are something to bring, too; nothing is not.
    await cwm.remember({ scope: 'project', project: old, text: 'Later.' });
    expect(await adopt()).toMatchObject({ sessions: 0, memories: 1 });
    await expect(adopt()).rejects.toThrow('has no session');
  });

  it('merges two: the current session of the one that stays remains current', async () => {
    const { cwm, talked } = await withFolders({});
    await talked('one', ['s1']);
    await talked('two', ['s2']);
    await cwm.adoptProject({ project: 'file:///one', from: 'file:///two/' }, never());
    expect((await cwm.listSessions({ project: 'file:///one' })).total).toBe(2);
    expect((await cwm.currentSession({ project: 'file:///one' })).session?.id).toBe('s1');
  });

  it('is finished by the next call where something interrupted it behind the last session', async () => {
    const { cwm, talked, store } = await withFolders({});
    await talked('old', ['s']);
    await cwm.setCurrentSession({ project: 'file:///old', session: 's' });
    const adopt = () => cwm.adoptProject({ project: 'file:///new', from: 'file:///old' }, never());
    const forget = vi.spyOn(store.projects, 'forget').mockRejectedValueOnce(new Error('The disk is full.'));
    await expect(adopt()).rejects.toThrow('The disk is full.');
    await adopt();
    expect(forget).toHaveBeenCalledTimes(2);
    expect((await cwm.currentSession({ project: 'file:///new' })).session?.id).toBe('s');
  });

  it('is refused for one and the same project, and for one without a session', async () => {
    const { cwm, talked } = await withFolders({});
    await talked('one', ['s1']);
    const adopt = (from: string) => cwm.adoptProject({ project: 'file:///one', from }, never());
    await expect(adopt('file:///one/')).rejects.toThrow('one project already');
    await expect(adopt('file:///two')).rejects.toThrow('has no session');
  });
});

describe('the list of projects', () => {
  it('has the number of sessions of each, of none, and also a project that only a session names', async () => {
    const { cwm, talked, store } = await withFolders({ b: { isGone: true } });
    await talked('b', ['b1', 'b2']);
    await cwm.createSession({ id: 'loose' });
    const session = await store.sessions.get(sessionId('b2'));
    if (!session) throw new Error('It is gone.');
    await store.sessions.update({ ...session, project: projectUri('file:///a'), version: session.version + 1 });
    const { items, withoutProject } = await cwm.listProjects({}, never());
    expect(items.map(({ name, sessions, isGone }) => [name, sessions, isGone])).toEqual([
      ['a', 1, false],
      ['b', 1, true],
    ]);
    expect(withoutProject).toBe(1);
    expect((await cwm.listSessions({ withoutProject: true })).items.map(({ id }) => id)).toEqual(['loose']);
  });
});
