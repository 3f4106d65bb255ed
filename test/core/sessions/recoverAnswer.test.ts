import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { AnswerBatch } from '../../../src/core/ports/answerLog.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import type { Message, Session } from '../../../src/protocol/schemas/session.ts';
import { contextTokens } from '../../store/builders.ts';
import { messageId, sessionId } from '../../support/ids.ts';
import { coreFixture, talkedSession, type CoreFixture } from '../coreFixture.ts';

const id = sessionId('s');

describe('S4-12, S4-20 a session whose turn a crash interrupted', () => {
  let fixture: CoreFixture;
  /** As the crash left it, in the middle of the answer to a second question. */
  let interrupted: Session;
  let question: Message;
  let answer: Message;
  beforeEach(async () => {
    fixture = await coreFixture();
    await talkedSession(fixture);
    const before = (await fixture.store.sessions.get(id))!;
    interrupted = { ...before, version: before.version + 1, phase: 'StreamingLLMResponse', draft: 'And then?' };
    await fixture.store.sessions.update(interrupted);
    const { createdAt } = before;
    const last = before.branches['main']!.head;
    question = {
      id: messageId('q'),
      role: 'user',
      parentId: last,
      sequence: 3,
      content: { type: 'text', text: 'And then?' },
      createdAt,
    };
    answer = {
      id: messageId('a'),
      role: 'assistant',
      parentId: question.id,
      sequence: 4,
      content: { type: 'text', text: '' },
      createdAt,
    };
  });

  const log = (changes: Partial<AnswerBatch> = {}, version = interrupted.version): Promise<void> =>
    fixture.store.answers.append({
      session: id,
      answer: answer.id,
      from: 1,
      chunks: [
        { part: 'reasoning', text: 'Hm.' },
        { part: 'text', text: 'Because ' },
      ],
      ids: [300, 301],
      begun: { session: id, version, question, answer, given: 0 },
      prompt: { shared: interrupted.tokens!.count, ids: [7, 8] },
      ...changes,
    });
  const recovered = async () => {
    const ids = await fixture.cwm.recover();
    const { items } = await fixture.cwm.listMessages({ session: 's' });
    return { ids, session: (await fixture.store.sessions.get(id))!, last: items.slice(2) };
  };

  test('has what came of the answer behind its question, marked as cut by the crash, and the ids that the model saw', async () => {
    await log();
    const { ids, session, last } = await recovered();
    expect(ids).toEqual(['s']);
    expect(last).toMatchObject([
      { role: 'user', content: { text: 'And then?' } },
      { role: 'assistant', content: { text: 'Because ', reasoning: 'Hm.' }, cut: 'crashed' },
    ]);
    expect(session).toMatchObject({ phase: 'Idle', draft: null });
    const before = await fixture.store.sessions.loadTokens(id, interrupted.tokens!.sha256);
    expect(await fixture.store.sessions.loadTokens(id, session.tokens!.sha256)).toEqual([...before, 7, 8, 300, 301]);
    expect(await fixture.store.answers.left(id)).toBeNull();
  });

  test.each<[string, () => Promise<void>]>([
    ['the engine told no ids', () => log({ ids: [] })],
    [
      'the ids before it are not all there',
      () => log({ prompt: { shared: interrupted.tokens!.count + 1, ids: [7, 8] } }),
    ],
    [
      'the ids before it are damaged',
      async () => {
        vi.spyOn(fixture.store.sessions, 'loadTokens').mockRejectedValueOnce(
          new CwmError('Corrupted', 'A bit flipped.'),
        );
        await log();
      },
    ],
  ])('has its text and the ids of before where %s', async (_, crash) => {
    await crash();
    const { session, last } = await recovered();
    expect(last.at(-1)).toMatchObject({ content: { text: 'Because ' }, cut: 'crashed' });
    expect(session.tokens).toEqual(interrupted.tokens);
  });

  test('has the whole answer where only its record did not know it yet', async () => {
    await log();
    const ids = [...(await fixture.store.sessions.loadTokens(id, interrupted.tokens!.sha256)), 7, 8, 300, 301];
    await fixture.store.sessions.saveTokens(id, ids);
    const context = { ...contextTokens(ids), messageCount: 4 };
    const whole = { ...answer, content: { type: 'text' as const, text: 'Because of the cache.' }, context };
    await fixture.store.messages.append(id, [question, whole]);
    const { session, last } = await recovered();
    expect(last).toHaveLength(2);
    expect(last[1]).toMatchObject({ content: { text: 'Because of the cache.' } });
    expect(last[1]).not.toHaveProperty('cut');
    expect(session).toMatchObject({ phase: 'Idle', draft: null, tokens: context });
  });

  test.each<[string, () => Promise<void>]>([
    ['nothing was said', async () => {}],
    ['the log is of an earlier turn', () => log({}, interrupted.version - 1)],
    [
      'the log cannot be read',
      async () => void vi.spyOn(fixture.store.answers, 'left').mockRejectedValueOnce(new CwmError('Corrupted', 'No.')),
    ],
  ])('has its draft where %s', async (_, crash) => {
    await crash();
    const { ids, session, last } = await recovered();
    expect(ids).toEqual(['s']);
    expect(last).toEqual([]);
    expect(session).toMatchObject({ phase: 'Idle', draft: 'And then?', tokens: interrupted.tokens });
  });

  test('EC-052 on a full disk is recovered by its next turn, and the backend starts', async () => {
    await log();
    vi.spyOn(fixture.store.messages, 'append').mockRejectedValueOnce(new CwmError('StorageFull', 'The disk is full.'));
    expect(await fixture.cwm.recover()).toEqual([]);
    await fixture.cwm.send({ session: 's', text: 'Go on.' });
    const { items } = await fixture.cwm.listMessages({ session: 's' });
    expect(items).toHaveLength(6);
    expect(items[3]).toMatchObject({ content: { text: 'Because ' }, cut: 'crashed' });
  });

  test('hides no fault of the program itself', async () => {
    vi.spyOn(fixture.store.answers, 'left').mockRejectedValueOnce(new TypeError('a bug'));
    await expect(fixture.cwm.recover()).rejects.toThrow('a bug');
  });
});
