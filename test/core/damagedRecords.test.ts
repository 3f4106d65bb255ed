import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { messageSchema } from '../../src/protocol/schemas/session.ts';
import type { SessionId } from '../../src/protocol/ids.ts';
import { diskFiles } from '../../src/store/disk/files.ts';
import { openStore } from '../../src/store/openStore.ts';
import { codeOf, coreFixture, never, savedWindow, talkedSession, type CoreFixture } from './coreFixture.ts';

/** Flips a bit in the middle of each file of the store that this names. */
function damage({ directory }: CoreFixture, named: RegExp): void {
  const paths = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((file) => named.test(file));
  expect(paths).not.toEqual([]);
  for (const file of paths) {
    const bytes = readFileSync(path.join(directory, file));
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(path.join(directory, file), bytes);
  }
}

describe('S4-05 damage', () => {
  test('of what a session last had as token ids costs it no turn: the engine tells them again', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    damage(fixture, /contexts.s.token_log/);
    expect(await fixture.cwm.send({ session: 's', text: 'And now?' }, never())).toMatchObject({ prefixBreak: null });
    expect(await fixture.cwm.freeze({ session: 's', window: 'after' }, never())).toMatchObject({ operation: 'freeze' });
  });

  test.each([
    /windows.w.kv\.json/,
    /windows.w.blocks-/,
    /windows.w.manifest/,
    /windows.w.tokens/,
    /lineages.[0-9a-f]/,
    /contexts.s.(metadata|token_log)/,
  ])('of %s keeps no window from being deleted', async (named) => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    damage(fixture, named);
    expect(await codeOf(fixture.cwm.deleteWindow({ window: 'w' }, never()))).toBe('no error');
    expect(await fixture.store.windows.names()).toEqual([]);
    expect(await codeOf(fixture.cwm.deleteWindow({ window: 'w' }, never()))).toBe('CWM-2002');
  });

  test("damage of the records that name a session's blocks does not stop a prune", async () => {
    for (const named of [/lineages.[0-9a-f]/, /contexts.s.token_log/]) {
      const fixture = await coreFixture();
      fixture.engine.kind = 'embedded';
      await savedWindow(fixture);
      damage(fixture, named);
      expect((await fixture.cwm.prune({ keep: 0 }, never())).windows, String(named)).toMatchObject([{ name: 'w' }]);
    }
  });

  test('of a lineage is repaired with another salt: the words go on, and their KV is computed again', async () => {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    await savedWindow(fixture);
    damage(fixture, /lineages.[0-9a-f]/);
    expect(await codeOf(cwm.send({ session: 's', text: 'And now?' }, never()))).toBe('CWM-4004');
    const { repairs, steps } = await cwm.verify({ repair: true }, never());
    expect(repairs.join()).toMatch(/lineage.* was recreated/);
    expect(steps.filter(({ step }) => !step.includes('set aside')).flatMap(({ problems }) => problems)).toEqual([]);
    expect(await cwm.thaw({ window: 'w' }, never())).toMatchObject({ verdict: 'rebuilt' });
    expect(await cwm.send({ session: 's', text: 'And now?' }, never())).toMatchObject({
      finishReason: expect.anything(),
    });
  });

  test('of a message leaves the others to be read, each in its place', async () => {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    await savedWindow(fixture);
    await cwm.send({ session: 's', text: 'And now?' }, never());
    const { items } = await cwm.listMessages({ session: 's' });
    // Another session, whose messages are not in memory; both have one file.
    await cwm.thaw({ window: 'w', session: 't' }, never());
    damage(fixture, new RegExp(`contexts.t.messages.${items[1]?.id}`));
    const after = await cwm.listMessages({ session: 's' });
    expect(after).toMatchObject({ total: 4, hasMore: false });
    expect(after.items.toSpliced(1, 1)).toEqual(items.toSpliced(1, 1));
    expect(after.items[1]).toMatchObject({
      id: items[1]?.id,
      role: 'assistant',
      sequence: 2,
      lost: expect.any(String),
    });
    expect(after.items[1]?.content).toMatchObject({ text: expect.stringMatching(/damaged/) });
    expect(await codeOf(cwm.send({ session: 't', text: 'Go on.' }, never())), 'no model is told that').toBe('CWM-4004');
  });
});

describe('S0-24 a thaw opens the conversation when', () => {
  /** A window of two messages, whose second one is damaged. @returns ids of both. */
  async function damagedMessage(checkpoint: boolean) {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    await fixture.cwm.freeze({ session: 's', window: 'w', checkpoint }, never());
    const { items } = await fixture.cwm.listMessages({ session: 's' });
    damage(fixture, new RegExp(`contexts.s.messages.${items[1]?.id}`));
    return { fixture, first: items[0]!, lost: items[1]!.id };
  }

  test('a message is damaged: a marked placeholder has its id, and the receipt says which is lost', async () => {
    const { fixture, first, lost } = await damagedMessage(true);
    const receipt = await fixture.cwm.thaw({ window: 'w', session: 't' }, never());
    expect(receipt).toMatchObject({ verdict: 'text-only', session: 't', notes: [expect.stringContaining(lost)] });
    expect(receipt.engine, 'no KV of the lost text is asked for').toBeNull();
    const { items, total } = await fixture.cwm.listMessages({ session: 't' });
    expect(total).toBe(2);
    expect(items[0]).toEqual(first);
    expect(items[1]).toMatchObject({ id: lost, role: 'assistant', sequence: 2, lost: expect.any(String) });
    expect(fixture.store.problems.some(({ movedTo }) => movedTo?.includes(lost))).toBe(true);
    await fixture.cwm.send({ session: 't', text: 'And now?' }, never());
    expect((await fixture.cwm.freeze({ session: 't', window: 'x' }, never())).operation).toBe('freeze');
    expect(await fixture.cwm.thaw({ window: 'x' }, never()), 'its ids are those of the placeholder').toMatchObject({
      verdict: 'proven',
    });
  });

  test('the frozen session itself has a damaged message: it takes turns again', async () => {
    const { fixture, lost } = await damagedMessage(false);
    expect(await fixture.cwm.thaw({ window: 'w', resume: true }, never())).toMatchObject({ verdict: 'text-only' });
    expect(await codeOf(fixture.cwm.send({ session: 's', text: 'And now?' }, never()))).toBe('no error');
    expect(
      await fixture.cwm.thaw({ window: 'w', session: 't' }, never()),
      'the ids of the window stay those of the lost text',
    ).toMatchObject({ verdict: 'text-only', notes: [expect.stringContaining(lost)] });
    await fixture.cwm.clone({ window: 'w', target: 'v' }, never());
    expect(await fixture.cwm.thaw({ window: 'v', session: 'u' }, never())).toMatchObject({ verdict: 'text-only' });
  });

  test('the salt of its lineage is damaged: the receipt says what to run', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    damage(fixture, /lineages.[0-9a-f]/);
    expect(await fixture.cwm.thaw({ window: 'w', session: 't' }, never())).toMatchObject({
      verdict: 'text-only',
      notes: [expect.stringContaining('cwm verify --repair')],
    });
    expect((await fixture.cwm.listMessages({ session: 't' })).total).toBe(2);
  });

  test.each(['frozen', 'resumed', 'continued since'] as const)(
    'its manifest is damaged: the text is that of its session, which is %s',
    async (kind) => {
      const fixture = await coreFixture();
      const { cwm, engine } = fixture;
      await talkedSession(fixture);
      await cwm.freeze({ session: 's', window: 'w', checkpoint: kind === 'continued since' }, never());
      const { items } = await cwm.listMessages({ session: 's' });
      if (kind === 'continued since') await cwm.send({ session: 's', text: 'And now?' }, never());
      damage(fixture, /windows.w.manifest/);
      const before = engine.calls.length;
      const receipt = await cwm.thaw(
        { window: 'w', ...(kind === 'resumed' ? { resume: true } : { session: 't' }) },
        never(),
      );
      expect(receipt).toMatchObject({
        verdict: 'text-only',
        engine: null,
        notes: [expect.stringMatching(/manifest is damaged.*branch "main" of session "s".*2 messages/)],
      });
      expect(engine.calls.length, 'the model server is asked nothing').toBe(before);
      const session = kind === 'resumed' ? 's' : 't';
      const opened = await cwm.listMessages({ session });
      expect(opened.items.map(({ content }) => content)).toEqual(items.map(({ content }) => content));
      expect(await codeOf(cwm.send({ session, text: 'Go on.' }, never()))).toBe('no error');
      expect(await cwm.thaw({ window: 'w', session: 'again' }, never())).toMatchObject({ verdict: 'text-only' });
    },
  );

  test('its manifest and a message are damaged: the rest opens', async () => {
    const { fixture, lost } = await damagedMessage(true);
    damage(fixture, /windows.w.manifest/);
    expect(await fixture.cwm.thaw({ window: 'w', session: 't' }, never())).toMatchObject({
      verdict: 'text-only',
      notes: [expect.stringMatching(new RegExp(`manifest is damaged.*lost: message 2 \\(${lost}`))],
    });
    expect((await fixture.cwm.listMessages({ session: 't' })).total).toBe(2);
  });

  test('its manifest and the record of its session are damaged, by naming what still has the conversation', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    await fixture.cwm.freeze({ session: 's', window: 'later', checkpoint: true }, never());
    damage(fixture, /windows.w.manifest|contexts.s.metadata/);
    for (const attempt of [1, 2]) {
      await expect(fixture.cwm.thaw({ window: 'w' }, never()), `attempt ${attempt}`).rejects.toMatchObject({
        code: 'CWM-4004',
        message: expect.stringMatching(/session "s".*"later"/),
        hint: expect.stringMatching(/thaw window "later"/),
        context: { session: 's' },
      });
    }
    expect(await fixture.cwm.thaw({ window: 'later', session: 't' }, never())).toMatchObject({ session: 't' });
  });

  test.each([0, 1, 2, 3])('line %i of the index of messages is lost while its file is there', async (line) => {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    await talkedSession(fixture);
    await cwm.send({ session: 's', text: 'And now?' }, never());
    await cwm.freeze({ session: 's', window: 'w', checkpoint: true }, never());
    const { items } = await cwm.listMessages({ session: 's' });
    const index = path.join(fixture.directory, 'contexts', 's', 'message_index.jsonl');
    const lines = readFileSync(index, 'utf8').split('\n');
    writeFileSync(index, lines.toSpliced(line, 1).join('\n'));
    // Another store, which has nothing in memory.
    const cold = await openStore({ directory: fixture.directory, clock: fixture.clock, files: diskFiles });
    onTestFinished(() => cold.close());
    const session = await cold.sessions.get('s' as SessionId);
    const ids = await cold.messages.chain('s' as SessionId, session?.branches['main']?.head ?? null);
    expect(await cold.messages.load('s' as SessionId, ids)).toEqual(items.map((shown) => messageSchema.parse(shown)));
  });
});

describe('a message to a session with a damaged message', () => {
  /** A session `t` of four messages that nobody has in memory, whose second one is damaged. */
  async function damaged() {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    await talkedSession(fixture);
    await cwm.send({ session: 's', text: 'And now?' }, never());
    await cwm.freeze({ session: 's', window: 'w', checkpoint: true }, never());
    await cwm.thaw({ window: 'w', session: 't' }, never());
    const { items } = await cwm.listMessages({ session: 't' });
    damage(fixture, new RegExp(`contexts.t.messages.${items[1]?.id}`));
    return { ...fixture, items };
  }

  test('is refused, since the model would not see what the user sees, and says how to continue', async () => {
    const { cwm } = await damaged();
    await expect(cwm.send({ session: 't', text: 'Go on.' }, never())).rejects.toMatchObject({
      code: 'CWM-4004',
      message: expect.stringContaining('session "t"'),
      hint: expect.stringMatching(/cwm verify --repair.*placeholder.*branch at an earlier message/),
    });
  });

  test('is sent after a repair: a placeholder took the place of the lost text, whose token ids are forgotten', async () => {
    const { cwm, engine, items } = await damaged();
    const { repairs } = await cwm.verify({ repair: true }, never());
    expect(repairs.join('\n')).toContain(`"${items[1]?.id}" of session "t"`);
    expect((await cwm.getSession({ session: 't' })).tokens).toBeNull();
    const shown: string[] = [];
    engine.template = (messages) => {
      shown.push(JSON.stringify(messages));
      return messages;
    };
    expect(await codeOf(cwm.send({ session: 't', text: 'Go on.' }, never()))).toBe('no error');
    expect(shown.at(-1)).toContain('was damaged, and its text is lost');
    const { steps, repairs: none } = await cwm.verify({ repair: true }, never());
    expect(steps.filter(({ step }) => !step.includes('set aside')).flatMap(({ problems }) => problems)).toEqual([]);
    expect(none).toEqual([]);
    const { items: now } = await cwm.listMessages({ session: 't' });
    for (const [at, known] of [
      [items[3]!.id, null],
      [now.at(-1)!.id, expect.anything()],
    ] as const) {
      const branched = await cwm.createBranch({ session: 't', at }, never());
      expect(branched.tokens, 'ids of the lost text are not continued from, later ones are').toEqual(known);
    }
  });

  test('is sent on a branch that ends before it', async () => {
    const { cwm, items } = await damaged();
    await cwm.createBranch({ session: 't', at: items[0]!.id }, never());
    expect(await codeOf(cwm.send({ session: 't', text: 'Go on.' }, never()))).toBe('no error');
  });
});
