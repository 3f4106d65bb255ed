import { describe, expect, it, vi } from 'vitest';
import { OutsideLineages, outsideTag } from '../../../src/core/sessions/outside/outsideLineages.ts';
import { newSession } from '../../../src/protocol/schemas/session.ts';
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

  it('leaves a crash in the middle with no session in two projects', async () => {
    const { cwm, currentOf, store } = await talking();
    await cwm.setCurrentSession({ project: one, session: 's' });
    const set = vi.spyOn(store.projects, 'setCurrentSession');
    const update = vi.spyOn(store.sessions, 'update');
    await cwm.moveSession({ session: 's', project: two }, never());
    expect(set.mock.calls[0]).toEqual([one, null]);
    expect(set.mock.invocationCallOrder[0]).toBeLessThan(update.mock.invocationCallOrder[0] ?? 0);
    expect(await currentOf(one)).toBeNull();
  });

  it('changes nothing where the memories of both are more than a project has', async () => {
    const { cwm, currentOf, store } = await talking();
    await cwm.setCurrentSession({ project: one, session: 's' });
    await store.projects.setRecorded(projectUri(one), false);
    await cwm.remember({ scope: 'project', project: one, text: 'One more.' }, never());
    for (let at = 1; at <= 100; at++)
      await cwm.remember({ scope: 'project', project: two, text: `It is number ${at}.` }, never());
    await expect(cwm.adoptProject({ project: two, from: one }, never())).rejects.toThrow('at most 100 memories');
    expect([await currentOf(one), await currentOf(two)]).toEqual(['s', null]);
    expect(await store.projects.isRecorded(projectUri(two))).toBe(true);
    expect((await cwm.listMemories({ project: one })).items).toHaveLength(1);
  });

  it.each(['move', 'adopt'])('leaves no checkpoint in a project that is not recorded (%s)', async (how) => {
    const fixture = await coreFixture({}, undefined, (own) => ({ ...own, checkpoints: { enabled: true, idleMs: 0 } }));
    const { cwm, store } = fixture;
    await cwm.createSession({ id: 's', project: one });
    await cwm.send({ session: 's', text: 'What is ice?' }, never());
    await cwm.closeProject({ project: one }, never());
    await cwm.settled();
    expect(await store.checkpoints.get(sessionId('s'))).not.toBeNull();
    if (how === 'move') {
      await cwm.recordProject({ project: two, recorded: false }, never());
      await cwm.moveSession({ session: 's', project: two }, never());
    } else {
      // Between its two writes, as a crash leaves it.
      await store.projects.setRecorded(projectUri(one), false);
      await cwm.adoptProject({ project: two, from: one }, never());
    }
    expect(await store.checkpoints.get(sessionId('s'))).toBeNull();
    expect(await store.projects.isRecorded(projectUri(two))).toBe(false);
  });

  it("leaves the salt of a gateway's conversations with the project that they began in", async () => {
    const { cwm, store } = await coreFixture();
    const saltFor = async (project: string): Promise<string> => {
      // As after a start of the backend.
      const outside = new OutsideLineages(() => ({ store }) as never, 'project');
      return (await outside.of(projectUri(project), null, (error) => expect.fail(String(error)))).salt;
    };
    const outside = new OutsideLineages(() => ({ store }) as never, 'project');
    const lineage = await outside.of(projectUri(one), null, (error) => expect.fail(String(error)));
    await store.lineages.create(lineage);
    for (const id of ['s', 'stays']) {
      const createdAt = new Date(0).toISOString();
      const at = { project: projectUri(one), engine: 'http://fake', lineage: lineage.id, createdAt };
      await store.sessions.create(newSession({ id: sessionId(id), title: id, tags: [outsideTag], ...at }));
    }
    await cwm.moveSession({ session: 's', project: two }, never());
    expect(await saltFor(one)).toBe(lineage.salt);
    expect(await saltFor(two)).not.toBe(lineage.salt);
    await cwm.moveSession({ session: 'stays', project: two }, never());
    expect(await saltFor(two)).not.toBe(lineage.salt);
  });
});
