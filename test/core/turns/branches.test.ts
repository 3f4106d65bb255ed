import { describe, expect, test, vi } from 'vitest';
import { CwmError } from '../../../src/protocol/errors.ts';
import { collectRequests } from '../collectRequests.ts';
import { codeOf, coreFixture, never, type CoreFixture } from '../coreFixture.ts';

/** A session `s` of two turns, and its messages. */
async function twoTurns(fixture: CoreFixture) {
  const { cwm } = fixture;
  await cwm.createSession({ id: 's' });
  for (const text of ['What is a prefix cache?', 'And what is it good for?']) await cwm.send({ session: 's', text });
  return (await cwm.listMessages({ session: 's' })).items;
}

const textsOf = async ({ cwm }: CoreFixture): Promise<string[]> =>
  (await cwm.listMessages({ session: 's' })).items.map(({ content }) => (content.type === 'text' ? content.text : ''));

/** All that an engine with blocks of four tokens can reuse of so many. */
const floorOf = (tokens: number): number => Math.floor((tokens - 1) / 4) * 4;

describe('S4-02 branches', () => {
  test('a branch at a message shares what leads to it; both grow apart', async () => {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    const messages = await twoTurns(fixture);
    const { activeBranch } = await cwm.createBranch({ session: 's', name: 'other', at: messages[1]!.id });
    expect(activeBranch).toBe('other');
    await cwm.send({ session: 's', text: 'How big is it?' });
    expect(await textsOf(fixture)).toEqual(['What is a prefix cache?', 'fine', 'How big is it?', 'fine']);
    await cwm.updateBranch({ session: 's', branch: 'main' });
    await cwm.send({ session: 's', text: 'Thanks.' });
    expect((await textsOf(fixture)).slice(2)).toEqual(['And what is it good for?', 'fine', 'Thanks.', 'fine']);
    const compared = await cwm.compareBranches({ session: 's', branch: 'main', with: 'other' });
    expect(compared).toMatchObject({ lastShared: messages[1]!.id, sharedMessages: 2 });
    expect([compared.one.messages.length, compared.other.messages.length]).toEqual([4, 2]);
  });

  test('a list shows the tokens of each, and how many it shares, in blocks; after a switch at least that floor is reused', async () => {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    const messages = await twoTurns(fixture);
    await cwm.createBranch({ session: 's', name: 'other', at: messages[1]!.id });
    await cwm.send({ session: 's', text: 'Something else altogether.' });
    const { items } = await cwm.listBranches({ session: 's' });
    const [main, other] = items;
    expect(items.map(({ name, active, length }) => [name, active, length])).toEqual([
      ['main', false, 4],
      ['other', true, 4],
    ]);
    expect(main).toMatchObject({ sharedWith: 'other', sharedTokens: other!.sharedTokens });
    expect(main!.sharedTokens).toBeGreaterThan(30);
    expect(main!.sharedBlocks).toBe(Math.floor(main!.sharedTokens / 4));

    fixture.engine.restart();
    await cwm.send({ session: 's', text: 'Warm this one.' });
    await cwm.updateBranch({ session: 's', branch: 'main' });
    const { cachedTokens } = await cwm.send({ session: 's', text: 'Back again.' });
    expect(cachedTokens).toBeGreaterThanOrEqual(main!.sharedBlocks! * 4 - 4);
  });

  test('a branch continues from the exact ids of its message, where the template would not', async () => {
    const fixture = await coreFixture();
    const { cwm, engine } = fixture;
    const messages = await twoTurns(fixture);
    // From now on the template begins with another date.
    engine.template = (all) => [{ role: 'system', content: 'It is Monday.' }, ...all];
    await cwm.createBranch({ session: 's', at: messages[1]!.id });
    const before = (await cwm.getSession({ session: 's' })).tokens!.count;
    const requests = collectRequests(engine);
    const { cachedTokens } = await cwm.send({ session: 's', text: 'How big is it?' });
    expect(requests[0]?.promptIds?.length).toBeGreaterThan(before);
    expect(cachedTokens).toBeGreaterThanOrEqual(floorOf(before));
  });

  test('they are renamed and deleted under rules', async () => {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    await twoTurns(fixture);
    await cwm.createBranch({ session: 's', name: 'a', switch: false });
    await cwm.createBranch({ session: 's' });
    expect(await codeOf(cwm.createBranch({ session: 's', name: 'a' }))).toBe('CWM-3005');
    expect(await codeOf(cwm.createBranch({ session: 's', at: 'nowhere' }))).toBe('CWM-2007');
    expect(await codeOf(cwm.createBranch({ session: 's', name: 'has space' }))).toBe('CWM-1003');
    expect(await codeOf(cwm.updateBranch({ session: 's', branch: '__proto__' }))).toBe('CWM-2006');
    expect(await codeOf(cwm.updateBranch({ session: 's', branch: 'a', rename: 'main' }))).toBe('CWM-3005');
    expect(await codeOf(cwm.updateBranch({ session: 's', branch: 'main', rename: 'b' }))).toBe('CWM-3006');
    expect(await codeOf(cwm.deleteBranch({ session: 's', branch: 'main' }))).toBe('CWM-3006');
    expect(await codeOf(cwm.deleteBranch({ session: 's', branch: 'branch-2' }))).toBe('CWM-3006');
    expect(await codeOf(cwm.deleteBranch({ session: 's', branch: 'gone' }))).toBe('CWM-2006');
    await cwm.updateBranch({ session: 's', branch: 'branch-2', rename: 'b' });
    const { branches, activeBranch } = await cwm.deleteBranch({ session: 's', branch: 'a' });
    expect([Object.keys(branches).sort(), activeBranch]).toEqual([['b', 'main'], 'b']);
    await cwm.freeze({ session: 's', window: 'w' });
    expect(await codeOf(cwm.createBranch({ session: 's' }))).toBe('CWM-3002');
  });

  test('a window is of the branch that was active, and a thaw opens that one', async () => {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    const messages = await twoTurns(fixture);
    await cwm.createBranch({ session: 's', name: 'other', at: messages[1]!.id });
    await cwm.send({ session: 's', text: 'How big is it?' });
    await cwm.freeze({ session: 's', window: 'w', checkpoint: true });
    expect((await cwm.getWindow({ window: 'w' })).manifest.branch).toBe('other');
    await cwm.updateBranch({ session: 's', branch: 'main' });
    expect(await cwm.thaw({ window: 'w', session: 't' })).toMatchObject({ verdict: 'proven' });
    const { items } = await cwm.listMessages({ session: 't' });
    expect(items.at(-2)?.content).toMatchObject({ text: 'How big is it?' });
  });

  test('a branch answers under a system prompt of its own, and the others under the session', async () => {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    const messages = await twoTurns(fixture);
    await cwm.putPrompt({ prompt: 'terse', text: 'Be brief.' });
    await cwm.createBranch({ session: 's', name: 'other', at: messages[1]!.id });
    const own = { session: 's', branch: 'other', systemPrompt: 'terse' };
    expect(await codeOf(cwm.updateBranch(own))).toBe('CWM-3108');
    await cwm.updateBranch({ ...own, breakPrefix: true });
    const requests = collectRequests(fixture.engine);
    await cwm.send({ session: 's', text: 'One?' });
    await cwm.updateBranch({ session: 's', branch: 'main' });
    const { prefixBreak } = await cwm.send({ session: 's', text: 'Two?' });
    expect(requests.map(({ messages: [first] }) => first?.role)).toEqual(['system', 'user']);
    expect(prefixBreak).toBeNull();
  });
});

describe('another try', () => {
  test('an edited message is sent on a branch of its own; the old one stays', async () => {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    const messages = await twoTurns(fixture);
    const { cachedTokens } = await cwm.editMessage({ session: 's', message: messages[2]!.id, text: 'And how big?' });
    expect(cachedTokens).toBeGreaterThanOrEqual(floorOf(messages[1]!.context!.count));
    expect(await textsOf(fixture)).toEqual(['What is a prefix cache?', 'fine', 'And how big?', 'fine']);
    fixture.engine.onCall = async () => {
      fixture.engine.fault = 'EngineFailed';
    };
    const failing = { session: 's', message: messages[0]!.id, text: 'Hello?', branch: 'fresh' };
    expect(await codeOf(cwm.editMessage(failing))).not.toBe('no error');
    expect(await cwm.getSession({ session: 's' })).toMatchObject({ activeBranch: 'fresh', draft: 'Hello?' });
    fixture.engine.onCall = async () => {};
    fixture.engine.fault = null;
    await cwm.editMessage(failing);
    expect(await textsOf(fixture)).toEqual(['Hello?', 'fine']);
    await cwm.updateBranch({ session: 's', branch: 'main' });
    expect(await textsOf(fixture)).toHaveLength(4);
    expect(await codeOf(cwm.editMessage({ session: 's', message: messages[1]!.id, text: 'x' }))).toBe('CWM-1003');
    expect(await codeOf(cwm.editMessage({ session: 's', message: messages[0]!.id, text: ' ' }))).toBe('CWM-1003');
  });

  test('another answer shares its question', async () => {
    const fixture = await coreFixture();
    const { cwm, engine } = fixture;
    const messages = await twoTurns(fixture);
    engine.answer = 'better';
    await cwm.regenerate({ session: 's', temperature: 1 });
    const { items } = await cwm.listMessages({ session: 's' });
    expect(items.map(({ id }) => id).slice(0, 3)).toEqual(messages.map(({ id }) => id).slice(0, 3));
    expect(items.at(-1)).toMatchObject({ parentId: messages[2]!.id, content: { text: 'better' } });
    expect(await codeOf(cwm.regenerate({ session: 's', message: messages[0]!.id }))).toBe('CWM-1003');
    expect((await fixture.store.check.verify(never())).flatMap(({ problems }) => problems)).toEqual([]);
  });

  test('a branch that ends with a question is answered there', async () => {
    const fixture = await coreFixture();
    const { cwm, engine } = fixture;
    const messages = await twoTurns(fixture);
    await cwm.createBranch({ session: 's', name: 'b', at: messages[2]!.id });
    engine.answer = 'another way';
    await cwm.regenerate({ session: 's' });
    expect(await cwm.getSession({ session: 's' })).toMatchObject({ activeBranch: 'b', draft: null, phase: 'Idle' });
    const { items } = await cwm.listMessages({ session: 's', branch: 'b' });
    expect(items.map(({ id }) => id).slice(0, 3)).toEqual(messages.map(({ id }) => id).slice(0, 3));
    expect(items.slice(3)).toMatchObject([{ parentId: messages[2]!.id, content: { text: 'another way' } }]);
    expect((await cwm.listMessages({ session: 's', branch: 'main' })).total).toBe(4);
    expect((await fixture.store.check.verify(never())).flatMap(({ problems }) => problems)).toEqual([]);
  });

  test('a branch that ends with a question ends with it still where no answer comes, and the same call tries again', async () => {
    const fixture = await coreFixture();
    const { cwm, engine } = fixture;
    const messages = await twoTurns(fixture);
    await cwm.createBranch({ session: 's', name: 'b', at: messages[2]!.id });
    const away = new CwmError('EngineUnavailable', 'Nothing answers.');
    const before = await cwm.getSession({ session: 's' });
    for (const method of ['describe', 'generate'] as const) {
      const spy = vi.spyOn(engine, method).mockRejectedValue(away);
      await expect(cwm.regenerate({ session: 's' })).rejects.toThrow('Nothing answers.');
      spy.mockRestore();
      const { branches, activeBranch, draft, tokens } = await cwm.getSession({ session: 's' });
      expect({ branches, activeBranch, draft, tokens }).toEqual({
        branches: before.branches,
        activeBranch: 'b',
        draft: null,
        tokens: before.tokens,
      });
    }
    engine.answer = 'another way';
    await cwm.regenerate({ session: 's' });
    expect((await textsOf(fixture)).slice(2)).toEqual(['And what is it good for?', 'another way']);
    expect((await fixture.store.check.verify(never())).flatMap(({ problems }) => problems)).toEqual([]);
  });

  test('an answer that was cut continues in the middle, from its exact ids', async () => {
    const fixture = await coreFixture();
    const { cwm, engine } = fixture;
    await twoTurns(fixture);
    expect(await codeOf(cwm.continueAnswer({ session: 's' }))).toBe('CWM-1003');
    engine.finishReason = 'length';
    engine.answer = 'It is good for re';
    await cwm.send({ session: 's', text: 'Again?' });
    const before = await cwm.getSession({ session: 's' });
    expect((await cwm.listMessages({ session: 's' })).items.at(-1)?.cut).toBe('limit');

    engine.fault = 'EngineFailed';
    expect(await codeOf(cwm.continueAnswer({ session: 's' }))).not.toBe('no error');
    engine.fault = null;
    expect((await textsOf(fixture)).at(-1)).toBe('It is good for re');

    engine.finishReason = 'stop';
    engine.answer = 'use.';
    const requests = collectRequests(engine);
    const { text, prefixBreak } = await cwm.continueAnswer({ session: 's' });
    expect([text, prefixBreak, requests[0]?.promptIds?.length]).toEqual(['use.', null, before.tokens?.count]);
    expect((await textsOf(fixture)).slice(-2)).toEqual(['Again?', 'It is good for reuse.']);
    expect((await cwm.send({ session: 's', text: 'Thanks.' })).prefixBreak).toBeNull();
    expect(await codeOf(cwm.continueAnswer({ session: 's' }))).toBe('CWM-1003');
  });

  test('a roll back ends the branch earlier, and a recovery point brings it forward again', async () => {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    const messages = await twoTurns(fixture);
    fixture.clock.advance(3_600_000);
    await cwm.rollBack({ session: 's', message: messages[1]!.id });
    expect(await textsOf(fixture)).toEqual(['What is a prefix cache?', 'fine']);
    expect((await cwm.getSession({ session: 's' })).tokens).toEqual(messages[1]!.context);
    const { items } = await cwm.listRecoveryPoints({ session: 's' });
    await cwm.restoreRecoveryPoint({ session: 's', id: items[0]!.id });
    expect(await textsOf(fixture)).toHaveLength(4);
    await cwm.rollBack({ session: 's', message: null });
    expect(await textsOf(fixture)).toEqual([]);
    expect(await codeOf(cwm.rollBack({ session: 's', message: messages[1]!.id }))).toBe('CWM-1003');
  });
});

describe('S4-02 merges', () => {
  /** `main` and `other` share a turn; each has one of its own, and `other` is active. */
  async function parted(fixture: CoreFixture) {
    const messages = await twoTurns(fixture);
    await fixture.cwm.createBranch({ session: 's', name: 'other', at: messages[1]!.id });
    await fixture.cwm.send({ session: 's', text: 'How big is it?' });
    return messages;
  }

  test('append puts the messages of the other branch behind', async () => {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    const messages = await parted(fixture);
    await cwm.mergeBranch({ session: 's', branch: 'main', how: 'append' });
    const { items } = await cwm.listMessages({ session: 's' });
    expect((await textsOf(fixture)).slice(2)).toEqual(['How big is it?', 'fine', 'And what is it good for?', 'fine']);
    expect(items.slice(4).map(({ copyOf }) => copyOf)).toEqual([messages[2]!.id, messages[3]!.id]);
    expect(items.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5, 6]);
    expect((await cwm.send({ session: 's', text: 'Thanks.' })).prefixBreak).toBeNull();
  });

  test('a cherry-pick takes what is named, in its order, where it can follow', async () => {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    const messages = await parted(fixture);
    const pick = (names: readonly string[]) =>
      cwm.mergeBranch({ session: 's', branch: 'main', how: 'cherry-pick', messages: [...names] });
    expect(await codeOf(pick([messages[3]!.id]))).toBe('CWM-1003');
    expect(await codeOf(pick([messages[0]!.id]))).toBe('CWM-1003');
    expect(await codeOf(pick([]))).toBe('CWM-1003');
    await pick([messages[3]!.id, messages[2]!.id]);
    expect((await textsOf(fixture)).slice(4)).toEqual(['And what is it good for?', 'fine']);
  });

  test('a rebase puts the own messages behind all of the other branch, whose tokens are reused', async () => {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    await parted(fixture);
    const onto = (await cwm.listBranches({ session: 's' })).items[0]!;
    await cwm.mergeBranch({ session: 's', branch: 'main', how: 'rebase' });
    expect((await textsOf(fixture)).slice(2)).toEqual(['And what is it good for?', 'fine', 'How big is it?', 'fine']);
    const { cachedTokens, prefixBreak } = await cwm.send({ session: 's', text: 'Thanks.' });
    expect(cachedTokens).toBeGreaterThanOrEqual(floorOf(onto.tokens!));
    expect(prefixBreak).toBeNull();
    expect(await codeOf(cwm.mergeBranch({ session: 's', branch: 'other', how: 'append' }))).toBe('CWM-3006');
  });
});

describe('branches around tool calls', () => {
  test('no branch ends between a call and its result, and no merge takes one without the other', async () => {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    await cwm.createSession({ id: 's', tools: { policy: 'auto-approve' } });
    const call = (id: string) => ({ id, name: 'look_up', arguments: '{}' });
    fixture.engine.toolCalls = [[call('a'), call('b')]];
    await cwm.send({ session: 's', text: 'Look it up.' });
    const [asked, calls, first, last, answer] = (await cwm.listMessages({ session: 's' })).items;
    for (const { id } of [calls!, first!]) {
      expect(await codeOf(cwm.createBranch({ session: 's', at: id }))).toBe('CWM-1003');
      expect(await codeOf(cwm.rollBack({ session: 's', message: id }))).toBe('CWM-1003');
    }
    await cwm.rollBack({ session: 's', message: last!.id });
    await cwm.createBranch({ session: 's', name: 'other', at: asked!.id });
    await cwm.updateBranch({ session: 's', branch: 'other' });
    const pick = (...messages: string[]) =>
      codeOf(cwm.mergeBranch({ session: 's', branch: 'main', how: 'cherry-pick', messages }));
    expect(await pick(calls!.id, first!.id)).toBe('CWM-1003');
    expect(await pick(last!.id)).toBe('CWM-1003');
    expect(await pick(calls!.id, first!.id, last!.id)).toBe('no error');
    expect(answer?.role).toBe('assistant');
  });
});
