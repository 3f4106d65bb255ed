import { describe, expect, it, vi } from 'vitest';
import { coreFixture, type CoreFixture } from '../coreFixture.ts';
import { eventually } from '../../support/eventually.ts';

const uri = (name: string): string => `file:///${name}`;

/** Folders that each have a session with one turn and a checkpoint, after a restart of the model server. */
async function leftFolders(...names: readonly string[]): Promise<CoreFixture> {
  const fixture = await coreFixture({}, undefined, (own) => ({ ...own, checkpoints: { enabled: true } }));
  const { cwm, engine } = fixture;
  for (const name of names) {
    await cwm.createSession({ id: name, project: uri(name) });
    await cwm.send({ session: name, text: `Please explain what ${name} is good for.` });
    await cwm.closeProject({ project: uri(name) });
  }
  await cwm.settled();
  engine.restart();
  engine.calls = [];
  return fixture;
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
    const { cwm, engine } = fixture;
    const held = hold(fixture, 'measure');
    await cwm.openProject({ project: uri('a') });
    await cwm.openProject({ project: uri('a') });
    await held.reached;
    await cwm.closeProject({ project: uri('a') });
    held.go();
    await cwm.settled();
    expect(await stateOf(fixture, 'a')).toBe('done');
    expect(engine.calls.filter((call) => call === 'restore')).toHaveLength(1);
  });
});
