import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { silent, type Reporter } from '../../../src/core/ports/reporter.ts';
import { batchMs } from '../../../src/core/answers/answerBatches.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import type { MessageId } from '../../../src/protocol/ids.ts';
import { sessionId } from '../../support/ids.ts';
import { codeOf, coreFixture, never, talkedSession, type CoreFixture } from '../coreFixture.ts';

const question = 'Why is the sky blue?';
const full = new CwmError('StorageFull', 'The disk is full.');

let fixture: CoreFixture;
beforeEach(async () => {
  fixture = await coreFixture();
  await talkedSession(fixture);
  fixture.engine.answer = 'Because air scatters blue light most of all.';
});

/** Cuts the answer behind so many words, as a broken stream or as the user does. */
function cutBehind(words: number, how: 'stream' | 'user'): AbortController {
  const user = new AbortController();
  fixture.engine.breaksAfter = {
    words,
    by: async (signal) => {
      if (how === 'stream') throw new CwmError('StreamCut', 'The stream was cut.');
      user.abort(new CwmError('Cancelled', 'The user stopped it.'));
      signal.throwIfAborted();
    },
  };
  return user;
}

const lastMessages = async (count: number) => (await fixture.cwm.listMessages({ session: 's' })).items.slice(-count);

describe('an answer that is cut', () => {
  test.each([
    ['stream', 'failed'],
    ['user', 'stopped'],
  ] as const)('S4-20 by the %s is stored behind its question, marked "%s", and no draft is left', async (how, cut) => {
    const user = cutBehind(3, how);
    const error = await fixture.cwm
      .send({ session: 's', text: question }, user.signal)
      .catch((thrown: unknown) => thrown);
    const [asked, answer] = await lastMessages(2);
    expect(error).toMatchObject({ context: { answer: answer!.id }, hint: expect.stringContaining('Continue') });
    expect(asked).toMatchObject({ role: 'user', content: { text: question } });
    expect(answer).toMatchObject({
      role: 'assistant',
      content: { text: 'Because air scatters ' },
      cut,
      parentId: asked!.id,
    });
    expect(await fixture.cwm.getSession({ session: 's' })).toMatchObject({ phase: 'Idle', draft: null });
  });

  test('before its first piece leaves the question as the draft', async () => {
    const user = cutBehind(0, 'user');
    await codeOf(fixture.cwm.send({ session: 's', text: question }, user.signal));
    expect(await fixture.cwm.getSession({ session: 's' })).toMatchObject({ phase: 'Idle', draft: question });
    expect(await lastMessages(9)).toHaveLength(2);
  });

  test('is continued from its exact token ids: what the model saw is one text without a seam', async () => {
    await codeOf(fixture.cwm.send({ session: 's', text: question }, cutBehind(3, 'user').signal));
    const [, cut] = await lastMessages(2);
    fixture.engine.breaksAfter = null;
    fixture.engine.answer = 'blue light.';
    await fixture.cwm.continueAnswer({ session: 's' }, never());
    const [, whole] = await lastMessages(2);
    expect(whole).toMatchObject({ content: { text: 'Because air scatters blue light.' } });
    expect(whole).not.toHaveProperty('cut');
    const ids = await fixture.store.sessions.loadTokens(sessionId('s'), whole!.context!.sha256);
    const before = await fixture.store.sessions.loadTokens(sessionId('s'), cut!.context!.sha256);
    expect(ids.slice(0, before.length)).toEqual(before);
    expect(ids.length).toBe(before.length + 'blue light.'.length + 1);
  });

  test('can be cut again while it is continued, and loses nothing of either part', async () => {
    await codeOf(fixture.cwm.send({ session: 's', text: question }, cutBehind(1, 'user').signal));
    fixture.engine.answer = 'air scatters';
    await codeOf(fixture.cwm.continueAnswer({ session: 's' }, cutBehind(1, 'user').signal));
    expect((await lastMessages(1))[0]).toMatchObject({ content: { text: 'Because air ' }, cut: 'stopped' });
    expect((await fixture.cwm.listMessages({ session: 's' })).total).toBe(4);
    fixture.engine.breaksAfter = null;
    await fixture.cwm.continueAnswer({ session: 's' }, never());
    expect((await lastMessages(1))[0]).toMatchObject({ content: { text: 'Because air air scatters' } });
  });

  test('of an engine without token ids is stored all the same; the session has the ids that it had', async () => {
    fixture.engine.givesIds = false;
    const { tokens } = await fixture.cwm.getSession({ session: 's' });
    await codeOf(fixture.cwm.send({ session: 's', text: question }, cutBehind(2, 'stream').signal));
    expect((await lastMessages(1))[0]).toMatchObject({ content: { text: 'Because air ' }, cut: 'failed' });
    expect((await fixture.cwm.getSession({ session: 's' })).tokens).toEqual(tokens);
    fixture.engine.breaksAfter = null;
    await fixture.cwm.send({ session: 's', text: 'Continue.' }, never());
    expect((await fixture.cwm.listMessages({ session: 's' })).total).toBe(6);
  });

  test('EC-040 on a full disk waits in memory, and the next turn stores it', async () => {
    vi.spyOn(fixture.store.messages, 'append').mockRejectedValueOnce(full);
    expect(await codeOf(fixture.cwm.send({ session: 's', text: question }, cutBehind(3, 'user').signal))).toBe(
      'CWM-6003',
    );
    fixture.engine.breaksAfter = null;
    await fixture.cwm.send({ session: 's', text: 'Go on.' }, never());
    const [asked, cut] = await lastMessages(4);
    expect([asked, cut]).toMatchObject([
      { content: { text: question } },
      { content: { text: 'Because air scatters ' }, cut: 'failed' },
    ]);
  });
});

describe('chunks of an answer', () => {
  /** What a client pulls, again and again, while the answer comes. */
  async function pulled(message: string, after: number) {
    const { items, ...rest } = await fixture.cwm.answerChunks({ session: 's', message, after, limit: 2 });
    return { numbers: items.map(({ sequence }) => sequence), text: items.map(({ text }) => text).join(''), ...rest };
  }

  test('S4-20, S4-21 are numbered from 1 without gaps, can be pulled from any of them, and are the whole text', async () => {
    const numbers: number[] = [];
    let id = '';
    const seen: object[] = [];
    const reporter: Reporter = {
      ...silent,
      begun: (message: MessageId) => (id = message),
      text: (_, sequence) => numbers.push(sequence),
    };
    fixture.engine.breaksAfter = {
      words: 5,
      by: async () => {
        seen.push(await fixture.cwm.getSession({ session: 's' }), await pulled(id, 0), await pulled(id, 3));
      },
    };
    const { text } = await fixture.cwm.send({ session: 's', text: question }, never(), reporter);
    expect(numbers).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(seen).toMatchObject([
      { phase: 'StreamingLLMResponse', answering: id },
      { numbers: [1, 2], text: 'Because air ', last: 5, hasMore: true, message: null },
      { numbers: [4, 5], text: 'blue light ', last: 5, hasMore: false },
    ]);
    expect(await pulled(id, 5)).toMatchObject({ numbers: [], message: { id, content: { text } } });
    expect(await codeOf(fixture.cwm.answerChunks({ session: 's', message: 'f'.repeat(32) }))).toBe('CWM-2007');
  });
});

describe('the log of answers', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
  });

  test('gets a batch half a second after its first chunk, and nothing of what comes until the answer is stored', async () => {
    const append = vi.spyOn(fixture.store.answers, 'append');
    fixture.engine.breaksAfter = {
      words: 5,
      by: async () => {
        vi.advanceTimersByTime(batchMs - 1);
        expect(append).not.toHaveBeenCalled();
        vi.advanceTimersByTime(1);
        expect(append).toHaveBeenCalledTimes(1);
      },
    };
    await fixture.cwm.send({ session: 's', text: question }, never());
    vi.advanceTimersByTime(10 * batchMs);
    expect(append).toHaveBeenCalledTimes(1);
    expect(append.mock.calls[0]![0]).toMatchObject({
      from: 1,
      chunks: { length: 5 },
      begun: { question: { role: 'user' } },
    });
    expect(await fixture.store.answers.left(sessionId('s'))).toBeNull();
  });

  test('gets a batch of every 2 KiB at once, and what comes while it is written goes with the next', async () => {
    const append = vi.spyOn(fixture.store.answers, 'append');
    fixture.engine.answer = 'word '.repeat(1000);
    await fixture.cwm.send({ session: 's', text: question }, never());
    expect(append.mock.calls.map(([{ from, chunks }]) => [from, chunks.length])).toEqual([
      [1, 410],
      [411, 410],
    ]);
  });

  test('that cannot be written costs no answer', async () => {
    vi.spyOn(fixture.store.answers, 'append').mockRejectedValue(full);
    fixture.engine.breaksAfter = { words: 5, by: async () => void vi.advanceTimersByTime(batchMs) };
    const { text, notes } = await fixture.cwm.send({ session: 's', text: question }, never());
    expect(text).toBe(fixture.engine.answer);
    expect(notes).toEqual([expect.stringContaining('The disk is full.')]);
  });
});
