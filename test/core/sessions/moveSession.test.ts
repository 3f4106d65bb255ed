import { describe, expect, it } from 'vitest';
import { projectUri, sessionId } from '../../support/ids.ts';
import { coreFixture, never } from '../coreFixture.ts';

const [one, two] = ['file:///one', 'file:///two'] as const;

async function talking() {
  const fixture = await coreFixture();
  await fixture.cwm.createSession({ id: 's', project: one, title: 'Ice' });
  await fixture.cwm.send({ session: 's', text: 'What is ice?' }, never());
  const currentOf = async (project: string) => (await fixture.cwm.currentSession({ project })).session?.id ?? null;
  return { ...fixture, currentOf };
}

describe('moving a session to another project', () => {
  it('takes its windows along, and each project has the current session that is its own', async () => {
    const { cwm, currentOf, store } = await talking();
    await cwm.freeze({ session: 's', window: 'w', checkpoint: true }, never());
    await cwm.setCurrentSession({ project: one, session: 's' });
    const moved = await cwm.moveSession({ session: 's', project: `${two}/` }, never());
    expect(moved).toMatchObject({ id: 's', project: two });
    const windowsOf = async (project: string) => (await cwm.listWindows({ project })).items.map(({ name }) => name);
    expect([await windowsOf(one), await windowsOf(two)]).toEqual([[], ['w']]);
    expect([await currentOf(one), await currentOf(two)]).toEqual([null, 's']);
    // It continues where it was: nothing is computed again, and a thaw stays in the project.
    await cwm.send({ session: 's', text: 'And steam?' }, never());
    await cwm.freeze({ session: 's', window: 'x' }, never());
    await cwm.thaw({ window: 'x' }, never());
    expect(await cwm.getSession({ session: 's' })).toMatchObject({ project: two });
    expect((await store.check.verify(never())).flatMap(({ problems }) => problems)).toEqual([]);
  });

  it('leaves the current session of the other project, and of its own where that is another one', async () => {
    const { cwm, currentOf } = await talking();
    await cwm.createSession({ id: 'first', project: two });
    await cwm.createSession({ id: 'newest', project: one });
    await cwm.moveSession({ session: 's', project: two }, never());
    expect([await currentOf(one), await currentOf(two)]).toEqual(['newest', 'first']);
  });

  it('into no project, and to where it is already', async () => {
    const { cwm, store } = await talking();
    const before = await cwm.getSession({ session: 's' });
    expect(await cwm.moveSession({ session: 's', project: one }, never())).toEqual(before);
    await cwm.freeze({ session: 's', window: 'w', checkpoint: true }, never());
    expect(await cwm.moveSession({ session: 's', project: null }, never())).toMatchObject({ project: null });
    expect((await cwm.listWindows({ project: one })).total).toBe(0);
    expect((await cwm.getWindow({ window: 'w' })).summary.project).toBeNull();
    expect((await cwm.listSessions({ project: one })).total).toBe(0);
    expect(await store.projects.currentSession(projectUri(one))).toBeNull();
  });

  it('is refused while its answer comes, while tool calls wait, and for what is no session or project', async () => {
    const { cwm, engine, store } = await talking();
    const move = (session: string, project: string) => cwm.moveSession({ session, project }, never());
    await expect(move('t', two)).rejects.toMatchObject({ name: 'SessionNotFound' });
    await expect(move('../s', two)).rejects.toMatchObject({ name: 'InvalidSessionId' });
    await expect(move('s', 'two')).rejects.toMatchObject({ name: 'InvalidParameter' });
    const asked = Promise.withResolvers<void>();
    const refused = Promise.withResolvers<void>();
    engine.onCall = () => {
      asked.resolve();
      return refused.promise;
    };
    const answer = cwm.send({ session: 's', text: 'And steam?' }, never());
    await asked.promise;
    await expect(move('s', two)).rejects.toMatchObject({ name: 'InvalidTransition' });
    refused.resolve();
    await answer;
    const session = await store.sessions.get(sessionId('s'));
    if (!session) throw new Error('It is gone.');
    await store.sessions.update({ ...session, phase: 'AwaitingToolApproval', version: session.version + 1 });
    await expect(move('s', two)).rejects.toMatchObject({ name: 'InvalidTransition' });
    expect((await cwm.getSession({ session: 's' })).project).toBe(one);
  });
});
