import { describe, expect, it, vi } from 'vitest';
import type { Caller } from '../../../src/core/ports/projects.ts';
import { coreFixture, type CoreFixture } from '../coreFixture.ts';
import { fakeFolders } from '../fakeFolders.ts';
import { sessionId } from '../../support/ids.ts';
import { eventually } from '../../support/eventually.ts';

const uri = (name: string): string => `file:///${name}`;

/** Folders that each have a session with one turn and a checkpoint, after a restart of the model server. */
async function leftFolders(...names: readonly string[]): Promise<CoreFixture & { as: (client: string) => void }> {
  let client = 'one';
  const caller = (): Caller => ({ client, isAgent: false });
  const fixture = await coreFixture({}, undefined, (own) => ({ ...own, checkpoints: { enabled: true }, caller }));
  const { cwm, engine } = fixture;
  for (const name of names) {
    await cwm.createSession({ id: name, project: uri(name) });
    await cwm.send({ session: name, text: `Please explain what ${name} is good for.` });
    await cwm.closeProject({ project: uri(name) });
  }
  await cwm.settled();
  engine.restart();
  engine.calls = [];
  return { ...fixture, as: (next) => void (client = next) };
}

const stateOf = async ({ cwm }: CoreFixture, name: string) =>
  (await cwm.openedProject({ project: uri(name) })).warming?.state;

/** Calls of this kind wait until `go`. */
function hold({ engine }: CoreFixture, kind: string) {
  const go = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  engine.onCall = async (call) => {
    if (call !== kind) return;
    reached.resolve();
    await go.promise;
  };
  return { go: () => go.resolve(), reached: reached.promise };
}

describe('S2-16 switching between folders', () => {
  it('in a hurry stops what is left, queues nothing stale, and warms only the last one', async () => {
    const fixture = await leftFolders('a', 'b', 'c');
    const { cwm, engine } = fixture;
    const held = hold(fixture, 'measure');
    await cwm.openProject({ project: uri('a') });
    await held.reached;
    const abort = vi.spyOn(AbortController.prototype, 'abort');
    const hurry = [
      cwm.openProject({ project: uri('b'), leaving: uri('a') }),
      cwm.openProject({ project: uri('c'), leaving: uri('b') }),
    ];
    await eventually(() => expect(abort).toHaveBeenCalled());
    abort.mockRestore();
    held.go();
    await Promise.all(hurry);
    await cwm.settled();
    expect(await stateOf(fixture, 'a')).toBe('stopped');
    expect(await stateOf(fixture, 'c')).toBe('done');
    const restored = engine.calls.filter((call) => call === 'restore').length;
    await cwm.settled();
    expect(engine.calls.filter((call) => call === 'restore')).toHaveLength(restored);
    const answer = await cwm.send({ session: 'c', text: 'And now?' });
    expect(answer.cachedTokens).toBeGreaterThan(0);
    expect(fixture.failures).toEqual([]);
  });

  it('there and back again ends with the first one warm, and mixes no conversation', async () => {
    const fixture = await leftFolders('a', 'b');
    const { cwm } = fixture;
    let leaving: string | undefined;
    for (const name of ['a', 'b', 'a', 'b', 'a']) {
      await cwm.openProject({ project: uri(name), ...(leaving !== undefined && { leaving }) });
      leaving = uri(name);
    }
    await cwm.settled();
    expect(await stateOf(fixture, 'a')).toBe('done');
    for (const name of ['a', 'b']) {
      const { items } = await cwm.listMessages({ session: name });
      expect(items).toHaveLength(2);
      expect(JSON.stringify(items)).toContain(`what ${name} is good for`);
    }
    expect((await cwm.listSessions({})).total).toBe(2);
    expect(fixture.failures).toEqual([]);
  });
});

describe('S2-16 switching between git branches of one folder', () => {
  const project = uri('a');
  const open = ({ cwm }: CoreFixture, gitBranch: string, more: object = { eachBranch: true }) =>
    cwm.openProject({ project, gitBranch, ...more });
  const currentOf = async ({ cwm }: CoreFixture) => (await cwm.currentSession({ project })).session?.id;

  /** A folder with a session on each of two branches. */
  async function onTwoBranches(): Promise<CoreFixture> {
    const fixture = await coreFixture({}, undefined, (own) => ({ ...own, checkpoints: { enabled: true } }));
    const { cwm } = fixture;
    await open(fixture, 'main');
    await cwm.createSession({ id: 'm', project });
    await cwm.send({ session: 'm', text: 'Please explain what main is good for.' });
    await open(fixture, 'topic');
    expect(await currentOf(fixture)).toBe('m');
    await cwm.createSession({ id: 't', project });
    await cwm.send({ session: 't', text: 'Please explain what the topic is.' });
    return fixture;
  }

  it('each one has the session that was current on it, what is left is saved, and its KV is brought back', async () => {
    const fixture = await onTwoBranches();
    const { cwm, store, engine } = fixture;
    const opened = await open(fixture, 'main');
    expect(opened.session?.id).toBe('m');
    await cwm.settled();
    expect(await store.checkpoints.get(sessionId('t'))).not.toBeNull();
    await open(fixture, 'main');
    engine.restart();
    await cwm.closeProject({ project });
    const { session, warming } = await open(fixture, 'topic');
    expect(session?.id).toBe('t');
    expect(warming?.state).not.toBe('none');
    await cwm.settled();
    expect(await stateOf(fixture, 'a')).toBe('done');
    expect(fixture.failures).toEqual([]);
  });

  it('a session that was deleted meanwhile is not opened: the present one stays', async () => {
    const fixture = await onTwoBranches();
    await fixture.cwm.deleteSession({ session: 'm' });
    expect((await open(fixture, 'main')).session?.id).toBe('t');
  });

  it('all have one session where nobody asked for more; the configuration of the folder decides before the editor', async () => {
    const says = { branches: undefined as string | undefined };
    const fixture = await coreFixture({}, undefined, (own) => ({
      ...own,
      folders: fakeFolders(() => ({ ...says })),
    }));
    await open(fixture, 'main', {});
    await fixture.cwm.createSession({ id: 'm', project });
    await open(fixture, 'topic', {});
    await fixture.cwm.createSession({ id: 't', project });
    await open(fixture, 'main', {});
    expect(await currentOf(fixture)).toBe('t');
    says.branches = 'separate';
    await open(fixture, 'topic', {});
    await fixture.cwm.setCurrentSession({ project, session: 'm' });
    await open(fixture, 'main', {});
    await fixture.cwm.setCurrentSession({ project, session: 't' });
    await open(fixture, 'topic', {});
    expect(await currentOf(fixture)).toBe('m');
    says.branches = 'shared';
    await open(fixture, 'main');
    expect(await currentOf(fixture)).toBe('m');
  });
});

describe('S2-16 two editor windows', () => {
  it('on two folders do not disturb each other: a message in one waits for no loading of the other', async () => {
    const fixture = await leftFolders('a', 'b');
    const { cwm } = fixture;
    await cwm.openProject({ project: uri('a') });
    await cwm.settled();
    const held = hold(fixture, 'measure');
    await cwm.openProject({ project: uri('b') });
    await held.reached;
    const answer = await cwm.send({ session: 'a', text: 'And now?' });
    expect(answer.cachedTokens).toBeGreaterThan(0);
    expect(await stateOf(fixture, 'b')).toBe('running');
    held.go();
    await cwm.settled();
    expect(await stateOf(fixture, 'b')).toBe('done');
  });

  it('on one folder: when one closes, the loading goes on for the other, and is made once', async () => {
    const fixture = await leftFolders('a');
    const { as, cwm, engine } = fixture;
    const held = hold(fixture, 'measure');
    await cwm.openProject({ project: uri('a') });
    as('other');
    await cwm.openProject({ project: uri('a') });
    await held.reached;
    await cwm.closeProject({ project: uri('a') });
    held.go();
    await cwm.settled();
    expect(await stateOf(fixture, 'a')).toBe('done');
    expect(engine.calls.filter((call) => call === 'restore')).toHaveLength(1);
  });
});
