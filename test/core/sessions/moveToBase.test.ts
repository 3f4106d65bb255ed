import { describe, expect, it, vi } from 'vitest';
import { never } from '../coreFixture.ts';
import { code, project, projectWith } from './projectWith.ts';

/** A session that has talked on the first base of its project, which was renewed since. */
async function onOldBase() {
  const fixture = await projectWith();
  const { cwm, make, disk } = fixture;
  const first = (await make()).base;
  const { id: session } = await cwm.createSession({ project });
  await cwm.send({ session, text: 'What is a0?' }, never());
  disk.set('c.ts', code('changed'));
  const second = (await make()).base;
  const said = async () =>
    (await cwm.listMessages({ session })).items.flatMap(({ content }) =>
      content.type === 'text' ? [content.text] : [],
    );
  const files = async () =>
    (await cwm.listMessages({ session })).items.flatMap(({ content }) =>
      content.type === 'context' ? content.files.map(({ text }) => text) : [],
    );
  return { ...fixture, first, second, session, said, files };
}

describe("a session that moves to its project's renewed base", () => {
  it('says first what is computed again, and changes nothing until that is confirmed', async () => {
    const { cwm, session } = await onOldBase();
    const before = await cwm.getSession({ session });
    await expect(cwm.moveToBase({ session }, never())).rejects.toMatchObject({
      name: 'PrefixWouldBreak',
      message: expect.stringMatching(/must compute \d+ of the context's \d+ tokens again/),
    });
    expect(await cwm.getSession({ session })).toEqual(before);
  });

  it('has the new files and every word of its own, and reuses the KV of the base', async () => {
    const { cwm, session, said, files, second } = await onOldBase();
    const words = await said();
    expect(words).toHaveLength(2);
    const moved = await cwm.moveToBase({ session, breakPrefix: true }, never());
    expect(moved).toMatchObject({ base: second.window, activeBranch: 'branch-2', tokens: { count: second.tokens } });
    expect(await said()).toEqual(words);
    expect(await files()).toContain(code('changed'));
    const { cachedTokens } = await cwm.send({ session, text: 'And c0?' }, never());
    expect(cachedTokens).toBeGreaterThan(second.tokens - 8);
  });

  it('leaves the branch that it was on as it was', async () => {
    const { cwm, session, files, first } = await onOldBase();
    const before = (await cwm.getSession({ session })).tokens;
    await cwm.moveToBase({ session, breakPrefix: true }, never());
    const back = await cwm.updateBranch({ session, branch: 'main' });
    expect(back.tokens).toEqual(before);
    expect(before?.count).toBeGreaterThan(first.tokens);
    expect(await files()).toContain(code('c'));
  });

  it('moves on to the next base, too', async () => {
    const { cwm, session, said, files, make, disk } = await onOldBase();
    const words = await said();
    await cwm.moveToBase({ session, breakPrefix: true }, never());
    disk.set('c.ts', code('third'));
    const { base } = await make();
    expect(await cwm.moveToBase({ session, breakPrefix: true }, never())).toMatchObject({ base: base.window });
    expect(await said()).toEqual(words);
    expect(await files()).toContain(code('third'));
  });

  it('asks nothing where it has said nothing', async () => {
    const { cwm, make, disk } = await projectWith();
    await make();
    const { id: session } = await cwm.createSession({ project });
    disk.set('c.ts', code('changed'));
    const { base } = await make();
    expect(await cwm.moveToBase({ session }, never())).toMatchObject({
      base: base.window,
      tokens: { count: base.tokens },
    });
  });

  it('a move that was interrupted before its last write leaves the session where it was, and is done again', async () => {
    const { cwm, session, store, said, second } = await onOldBase();
    const before = await cwm.getSession({ session });
    const update = vi.spyOn(store.sessions, 'update').mockRejectedValue(new Error('the power is gone'));
    await expect(cwm.moveToBase({ session, breakPrefix: true }, never())).rejects.toThrow();
    update.mockRestore();
    expect(await cwm.getSession({ session })).toEqual(before);
    const words = await said();
    expect(await cwm.moveToBase({ session, breakPrefix: true }, never())).toMatchObject({ base: second.window });
    expect(await said()).toEqual(words);
  });

  it('is refused where there is no other base, or none whose KV it can share', async () => {
    const { cwm, session, make } = await onOldBase();
    const refusal = (id: string, message: string) =>
      expect(cwm.moveToBase({ session: id, breakPrefix: true }, never())).rejects.toMatchObject({
        name: 'InvalidTransition',
        message: expect.stringContaining(message),
      });
    const apart = await cwm.createSession({ project, withoutBase: true });
    await refusal(apart.id, 'did not begin with a base');
    const present = await cwm.createSession({ project });
    await refusal(present.id, "is on its project's base");
    await cwm.deleteProjectBase({ project }, never());
    await refusal(session, 'has no base');
    // It is made from nothing, with a salt of its own.
    await make();
    await refusal(session, 'cannot share the KV');
  });
});

describe('a base that was renewed', () => {
  it('stays while a session that was moved to another project begins with it', async () => {
    const { cwm, make, store, disk } = await projectWith();
    const { base } = await make();
    const { id: session } = await cwm.createSession({ project });
    await cwm.moveSession({ session, project: 'file:///elsewhere' }, never());
    disk.set('c.ts', code('changed'));
    await make();
    expect(await store.windows.get(base.window)).not.toBeNull();
  });
});
