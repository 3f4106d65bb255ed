import { describe, expect, it, vi } from 'vitest';
import { CwmError } from '../../../src/protocol/errors.ts';

import { codeOf, coreFixture, never, talkedSession, type CoreFixture } from '../coreFixture.ts';
import { sessionId } from '../../store/builders.ts';

const s = sessionId('s');

async function frozen(): Promise<CoreFixture> {
  const fixture = await coreFixture();
  await talkedSession(fixture);
  await fixture.cwm.freeze({ session: 's', window: 'w' }, never());
  return fixture;
}

const headOf = async ({ store }: CoreFixture) => {
  const session = await store.sessions.get(s);
  return session?.branches[session.activeBranch]?.head;
};

describe('S0-05 what a thaw continues', () => {
  it('is the frozen session itself, and three thaws leave one conversation on one branch', async () => {
    const fixture = await frozen();
    const { cwm, engine } = fixture;
    for (let times = 1; times <= 3; times++) {
      engine.restart();
      expect(await cwm.thaw({ window: 'w' })).toMatchObject({ session: 's', verdict: 'proven' });
    }
    const session = await cwm.getSession({ session: 's' });
    expect(session).toMatchObject({ lifecycle: 'thawed', frozenAs: null, activeBranch: 'main' });
    expect(Object.keys(session.branches)).toEqual(['main']);
    expect((await cwm.listSessions({})).total).toBe(1);
  });

  it('is a branch at its last message where the session has gone on since, made once, and nothing is rolled back', async () => {
    const fixture = await frozen();
    const { cwm, store } = fixture;
    const atFreeze = await headOf(fixture);
    await cwm.thaw({ window: 'w' });
    await cwm.send({ session: 's', text: 'And on it goes.' });
    const goneOn = await headOf(fixture);
    const receipt = await cwm.thaw({ window: 'w' });
    expect(receipt.notes).toContainEqual(expect.stringContaining('continues on its branch "w"'));
    expect(await headOf(fixture)).toBe(atFreeze);
    const { tokens } = (await store.windows.get(receipt.window))!;
    expect((await cwm.getSession({ session: 's' })).tokens).toMatchObject({ sha256: tokens.sha256 });
    const answer = await cwm.send({ session: 's', text: 'Another way.' });
    expect(answer.cachedTokens).toBeGreaterThanOrEqual(receipt.floorTokens ?? Infinity);
    await cwm.updateBranch({ session: 's', branch: 'main' });
    expect(await headOf(fixture)).toBe(goneOn);
    for (let times = 1; times <= 3; times++) await cwm.thaw({ window: 'w' });
    expect(Object.keys((await cwm.getSession({ session: 's' })).branches)).toEqual(['main', 'w', 'w-2']);
    expect((await cwm.listSessions({})).total).toBe(1);
  });

  it('is not needed where the window of a frozen session was deleted: a message continues from the text', async () => {
    const { cwm } = await frozen();
    await cwm.deleteWindow({ window: 'w' });
    const before = await cwm.getSession({ session: 's' });
    const answer = await cwm.send({ session: 's', text: 'And on it goes.' });
    expect(answer.text).not.toBe('');
    const after = await cwm.getSession({ session: 's' });
    expect(after).toMatchObject({ lifecycle: 'active', frozenAs: null });
    expect(after.branches['main']?.length).toBe((before.branches['main']?.length ?? 0) + 2);
  });

  it('S0-11 is a branch of its own for a clone', async () => {
    const { cwm } = await frozen();
    await cwm.clone({ window: 'w', target: 'c' });
    for (let times = 1; times <= 2; times++) await cwm.thaw({ window: 'c' });
    expect(await cwm.getSession({ session: 's' })).toMatchObject({ lifecycle: 'thawed', activeBranch: 'c' });
    await cwm.thaw({ window: 'w' });
    expect(Object.keys((await cwm.getSession({ session: 's' })).branches)).toEqual(['main', 'c']);
  });

  it('EC-002 is a copy with an id of its own only on request, and the copy names its origin', async () => {
    const { cwm } = await frozen();
    await cwm.updateSession({ session: 's', title: 'Plums' });
    const copy = await cwm.thaw({ window: 'w', copy: true });
    expect(copy.session).toMatch(/^thaw-w-/);
    expect(await cwm.getSession({ session: copy.session })).toMatchObject({ title: 'Copy of Plums' });
    expect((await cwm.thaw({ window: 'w', session: 'mine' })).session).toBe('mine');
    expect((await cwm.getSession({ session: 's' })).lifecycle).toBe('frozen');
  });

  it('is a copy of which nothing is saved unasked, where nothing of the original is', async () => {
    const { cwm } = await frozen();
    const recordedOf = async () =>
      (await cwm.getSession({ session: (await cwm.thaw({ window: 'w', copy: true })).session })).recorded;
    expect(await recordedOf()).toBeUndefined();
    await cwm.updateSession({ session: 's', recorded: false });
    expect(await recordedOf()).toBe(false);
  });

  it('is a copy where the session of the window is gone', async () => {
    const { cwm } = await frozen();
    await cwm.freeze({ session: (await cwm.thaw({ window: 'w', copy: true })).session, window: 'v' });
    const copied = (await cwm.getWindow({ window: 'v' })).summary.session;
    await cwm.clone({ window: 'v', target: 'c' });
    await cwm.deleteSession({ session: copied, cascade: true });
    expect((await cwm.thaw({ window: 'w' })).session).toBe('s');
  });

  it('is refused while a turn of the session waits for a decision', async () => {
    const fixture = await frozen();
    await fixture.cwm.thaw({ window: 'w' });
    const session = await fixture.store.sessions.get(s);
    await fixture.store.sessions.update({ ...session!, phase: 'AwaitingToolApproval', version: session!.version + 1 });
    expect(await codeOf(fixture.cwm.thaw({ window: 'w' }))).toBe('CWM-3001');
  });
});

describe('S0-30 a message to a frozen session', () => {
  it('resumes it first, warm, and the answer says so', async () => {
    const { cwm, engine } = await frozen();
    engine.restart();
    const answer = await cwm.send({ session: 's', text: 'Still here?' });
    expect(answer.notes[0]).toMatch(/^The session was frozen, and continues\. .*proven/i);
    expect(answer.cachedTokens).toBeGreaterThan(0);
    expect((await cwm.getSession({ session: 's' })).lifecycle).toBe('active');
  });

  it('leaves it frozen, with the text as its draft, where the model server is away', async () => {
    const { cwm, engine } = await frozen();
    vi.spyOn(engine, 'describe').mockRejectedValue(new CwmError('EngineUnavailable', 'Nothing answers.'));
    await expect(cwm.send({ session: 's', text: 'Still here?' })).rejects.toMatchObject({
      code: 'CWM-5001',
      hint: expect.stringContaining('Your text is saved as a draft.'),
    });
    expect(await cwm.getSession({ session: 's' })).toMatchObject({ lifecycle: 'frozen', draft: 'Still here?' });
  });

  it.each<[string, (cwm: CoreFixture['cwm']) => Promise<unknown>]>([
    ['a message of blanks', (cwm) => cwm.send({ session: 's', text: '  ' })],
    ['a temperature that cannot be', (cwm) => cwm.send({ session: 's', text: 'Hot?', temperature: 9 })],
    ['no answer to continue', (cwm) => cwm.continueAnswer({ session: 's' })],
    ['another answer to no answer', (cwm) => cwm.regenerate({ session: 's', message: 'nothing' })],
    ['an edit of no message', (cwm) => cwm.editMessage({ session: 's', message: 'nothing', text: 'Well.' })],
    ['no files', (cwm) => cwm.prime({ session: 's', paths: [] })],
    ['a plan that is not there', (cwm) => cwm.acceptPlan({ session: 's' })],
  ])('that is refused leaves it frozen: %s', async (_, ask) => {
    const { cwm } = await frozen();
    expect(await codeOf(ask(cwm))).toMatch(/^CWM-1|^CWM-2/);
    expect(await cwm.getSession({ session: 's' })).toMatchObject({ lifecycle: 'frozen', draft: null });
  });

  it('S4-03 may be the acceptance of a plan', async () => {
    const { cwm } = await coreFixture();
    await cwm.createSession({ id: 's', mode: 'plan' });
    await cwm.send({ session: 's', text: 'Plan it.' });
    await cwm.freeze({ session: 's', window: 'w' });
    expect((await cwm.acceptPlan({ session: 's' })).notes[0]).toMatch(/^The session was frozen, and continues\./);
    expect(await cwm.getSession({ session: 's' })).toMatchObject({ lifecycle: 'active', settings: { mode: 'act' } });
  });

  it('is stored as its draft, and its refusal is what the caller hears, also where the session changed at the same time', async () => {
    const { cwm, engine } = await frozen();
    vi.spyOn(engine, 'describe').mockImplementation(async () => {
      await cwm.updateSession({ session: 's', title: 'Plums' });
      throw new CwmError('EngineUnavailable', 'Nothing answers.');
    });
    expect(await codeOf(cwm.send({ session: 's', text: 'Still here?' }))).toBe('CWM-5001');
    expect(await cwm.getSession({ session: 's' })).toMatchObject({ title: 'Plums', draft: 'Still here?' });
  });
});
