import { describe, expect, it } from 'vitest';
import { sessionId } from '../../support/ids.ts';
import { coreFixture, never } from '../coreFixture.ts';

describe('S0-50 what each project holds', () => {
  it('is its sessions, windows and KV, by size and last use; a session that moved takes them along', async () => {
    const { cwm, engine } = await coreFixture();
    engine.kind = 'embedded';
    for (const [id, project] of [
      ['a', 'file:///a'],
      ['b', 'file:///b'],
      ['loose', null],
    ] as const) {
      await cwm.createSession({ id, project });
      await cwm.send({ session: id, text: 'What is ice? '.repeat(id === 'a' ? 60 : 20) }, never());
    }
    await cwm.freeze({ session: 'a', window: 'w', checkpoint: true }, never());
    await cwm.clone({ window: 'w', target: 'x' }, never());
    const of = async () => (await cwm.usage({}, never())).projects ?? [];
    const [first, ...others] = await of();
    expect(first).toMatchObject({ project: 'file:///a', sessions: 1, windows: 2, elsewhereBytes: 0 });
    expect(first?.kvBytes).toBe((await cwm.usage({}, never())).kv.windowBytes);
    expect(first?.lastUsedAt).toBe((await cwm.getWindow({ window: 'x' })).manifest.createdAt);
    expect(others.map(({ project, sessions }) => `${project} ${sessions}`).sort()).toEqual(['file:///b 1', 'null 1']);
    await cwm.moveSession({ session: 'a', project: 'file:///b' }, never());
    expect((await of())[0]).toMatchObject({ project: 'file:///b', sessions: 2, windows: 2, kvBytes: first?.kvBytes });
  });
});

it('S0-50 KV with other model servers is what windows and checkpoints have, each file once', async () => {
  const { cwm, engine } = await coreFixture({}, undefined, (own) => ({
    ...own,
    checkpoints: { enabled: true, idleMs: 0 },
  }));
  engine.kind = 'vllm';
  for (const project of ['file:///a', 'file:///b']) {
    await cwm.createSession({ id: project.at(-1)!, project });
    await cwm.send({ session: project.at(-1)!, text: 'What is ice? '.repeat(20) }, never());
    expect((await cwm.closeProject({ project }, never())).receipt).not.toBeNull();
  }
  const { kv, projects = [] } = await cwm.usage({}, never());
  expect(kv.elsewhereBytes).toBeGreaterThan(0);
  expect(kv.elsewhereBytes).toBe(projects.reduce((sum, { elsewhereBytes }) => sum + elsewhereBytes, 0));
  await cwm.freeze({ session: 'a', window: 'w', checkpoint: true }, never());
  await cwm.clone({ window: 'w', target: 'x' }, never());
  const more = (await cwm.usage({}, never())).kv.elsewhereBytes;
  await cwm.clone({ window: 'w', target: 'y' }, never());
  expect((await cwm.usage({}, never())).kv.elsewhereBytes).toBe(more);
});

describe('a project that is not recorded', () => {
  it('has no checkpoints from then on, also after a restart, until it is recorded again', async () => {
    const { cwm, store } = await coreFixture({}, undefined, (own) => ({
      ...own,
      checkpoints: { enabled: true, idleMs: 0 },
    }));
    const project = 'file:///p';
    await cwm.createSession({ id: 's', project });
    const talk = async (text: string) => {
      await cwm.send({ session: 's', text }, never());
      return (await cwm.closeProject({ project }, never())).receipt;
    };
    expect(await talk('What is ice?')).not.toBeNull();
    expect(await cwm.recordProject({ project, recorded: false }, never())).toMatchObject({ dropped: 1 });
    expect(await store.checkpoints.get(sessionId('s'))).toBeNull();
    expect(await talk('And steam?')).toBeNull();
    // A client that knows nothing of it changes nothing.
    const { warming } = await cwm.openProject({ project, record: true }, never());
    expect(warming?.why).toContain('Nothing of this folder is saved');
    const said = async () => [
      (await cwm.findProject({ folder: project }, never())).recorded,
      (await cwm.currentSession({ project })).recorded,
      (await cwm.listProjects({}, never())).items[0]?.recorded,
    ];
    expect(await said()).toEqual([false, false, false]);
    expect(await cwm.recordProject({ project, recorded: true }, never())).toMatchObject({ dropped: 0 });
    expect(await said()).toEqual([true, true, true]);
    expect(await talk('And rain?')).not.toBeNull();
  });
});
