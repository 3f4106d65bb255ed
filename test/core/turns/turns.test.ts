import { describe, expect, test, vi } from 'vitest';
import { silent } from '../../../src/core/ports/reporter.ts';
import { nearLimitNotes } from '../../../src/core/answers/nearLimit.ts';
import { CwmError, errorNameOf } from '../../../src/protocol/errors.ts';
import { codeOf, coreFixture, never, talkedSession } from '../coreFixture.ts';
import { sessionId } from '../../support/ids.ts';

describe('send', () => {
  test('a turn appends to the prompt of the one before, which is reused', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    const before = (await fixture.cwm.getSession({ session: 's' })).tokens?.count ?? 0;
    const result = await fixture.cwm.send({ session: 's', text: 'Thank you.' }, never());
    expect(result.prefixBreak).toBeNull();
    expect(result.cachedTokens).toBe(Math.floor((before - 1) / 4) * 4);
  });

  test('the answer is heard word by word, and its pieces make its text', async () => {
    const fixture = await coreFixture();
    fixture.engine.answer = 'a cache of prefixes';
    await fixture.cwm.createSession({ id: 's' });
    const pieces: string[] = [];
    const reporter = { ...silent, text: (piece: string) => void pieces.push(piece) };
    const { text } = await fixture.cwm.send({ session: 's', text: 'What is it?' }, never(), reporter);
    expect(pieces).toEqual(['a ', 'cache ', 'of ', 'prefixes']);
    expect(text).toBe('a cache of prefixes');
  });

  test('S4-40 what changed is signalled, and neither the text nor the steps are', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    await fixture.cwm.prime({ session: 's', paths: ['/a.ts'] }, never());
    const kinds = new Set(fixture.heard.map(({ type }) => type));
    expect([...kinds].sort()).toEqual(['session', 'state']);
    expect(JSON.stringify(fixture.heard)).not.toContain(fixture.engine.answer);
  });

  test('EC-011 from 95 % of the context on, the answer comes with a note', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    const { notes } = await fixture.cwm.send({ session: 's', text: 'more' }, never());
    expect(notes).toEqual([]);
    const { tokens } = await fixture.cwm.getSession({ session: 's' });
    fixture.engine.model.maxModelLen = tokens?.count ?? 0;
    const full = await fixture.cwm.send({ session: 's', text: 'and more' }, never());
    expect(full.notes).toEqual([expect.stringContaining('freeze this session')]);
  });

  test.each([
    [949, 0],
    [950, 1],
    [1000, 1],
  ])('EC-011 %i of 1,000 tokens: %i notes', (tokens, count) => {
    const model = { id: 'm', root: null, maxModelLen: 1000, fingerprint: null };
    expect(nearLimitNotes(tokens, model)).toHaveLength(count);
    expect(nearLimitNotes(tokens, { ...model, maxModelLen: null })).toEqual([]);
  });

  test.each(['CWM-5001', 'CWM-5004', 'CWM-5101', 'CWM-6001'] as const)(
    'an engine that fails with %s costs no word: the text stays as a draft, the session is at rest',
    async (fault) => {
      const fixture = await coreFixture();
      await talkedSession(fixture);
      fixture.engine.onCall = async () => {
        fixture.engine.fault = errorNameOf(fault);
      };
      expect(await codeOf(fixture.cwm.send({ session: 's', text: 'precious words' }, never()))).toBe(fault);
      expect(await fixture.cwm.getSession({ session: 's' })).toMatchObject({
        // A stream that broke off before its first piece was asked for again, in vain.
        phase: fault === 'CWM-5101' ? 'PermanentFailure' : 'Idle',
        draft: 'precious words',
      });
      expect((await fixture.cwm.listMessages({ session: 's' })).total).toBe(2);
      fixture.engine.fault = null;
      fixture.engine.onCall = async () => {};
      await fixture.cwm.send({ session: 's', text: 'precious words' }, never());
      expect(await fixture.cwm.getSession({ session: 's' })).toMatchObject({ phase: 'Idle', draft: null });
      expect((await fixture.cwm.listMessages({ session: 's' })).total).toBe(4);
    },
  );

  test('S4-50 of two turns at once one is refused', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    const codes = await Promise.all([
      codeOf(fixture.cwm.send({ session: 's', text: 'one' }, never())),
      codeOf(fixture.cwm.send({ session: 's', text: 'two' }, never())),
    ]);
    expect(codes.sort()).toEqual(['CWM-3001', 'no error']);
    expect((await fixture.cwm.listMessages({ session: 's' })).total).toBe(4);
  });

  test('EC-020 a start on a full disk leaves a turn that a crash interrupted as it is, and the session goes on', async () => {
    const fixture = await coreFixture();
    const { cwm, store } = fixture;
    await talkedSession(fixture);
    const session = (await store.sessions.get(sessionId('s')))!;
    await store.sessions.update({ ...session, phase: 'StreamingLLMResponse', version: session.version + 1 });
    vi.spyOn(store.sessions, 'update').mockRejectedValueOnce(new CwmError('StorageFull', 'The disk is full.'));
    expect(await cwm.recover()).toEqual([]);
    expect(await cwm.send({ session: 's', text: 'Go on.' }, never())).toMatchObject({ session: 's' });
  });

  test('a model server that is down is an error that says that the message is kept, and why nothing can be frozen yet', async () => {
    const fixture = await coreFixture();
    await fixture.cwm.createSession({ id: 's' });
    fixture.engine.fault = 'EngineUnavailable';
    await expect(fixture.cwm.send({ session: 's', text: 'precious words' }, never())).rejects.toMatchObject({
      hint: expect.stringMatching(/ Your text is saved as a draft\.$/),
      context: { draftKept: true },
    });
    await expect(fixture.cwm.freeze({ session: 's', window: 'w' }, never())).rejects.toMatchObject({
      hint: expect.stringMatching(/^Its message has no answer yet\./),
    });
  });

  test('S4-12 a turn that a crash interrupted is idle again after recovery, with its draft', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    const session = await fixture.cwm.getSession({ session: 's' });
    await fixture.store.sessions.update({
      ...session,
      phase: 'StreamingLLMResponse',
      draft: 'half said',
      version: session.version + 1,
    });
    expect(await fixture.cwm.recover()).toEqual(['s']);
    expect(await fixture.cwm.getSession({ session: 's' })).toMatchObject({ phase: 'Idle', draft: 'half said' });
    expect(await fixture.cwm.recover()).toEqual([]);
  });

  test('a template that renders an earlier message anew is a prefix break: located, counted, explained', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    const session = await fixture.cwm.getSession({ session: 's' });
    const tokens = session.tokens;
    if (!tokens) throw new Error('the session has no tokens');
    const ids = await fixture.store.sessions.loadTokens(session.id, tokens.sha256);
    const drifted = ids.with(tokens.promptCount + 1, 99);
    const sha256 = await fixture.store.sessions.saveTokens(session.id, drifted);
    await fixture.store.sessions.update({ ...session, tokens: { ...tokens, sha256 }, version: session.version + 1 });
    const { prefixBreak } = await fixture.cwm.send({ session: 's', text: 'next' }, never());
    expect(prefixBreak).toMatchObject({
      atToken: tokens.promptCount + 1,
      lostTokens: tokens.count - tokens.promptCount - 1,
      messageSequence: 2,
    });
    expect(prefixBreak?.likelyCause).toContain('template');
    expect((await fixture.cwm.getSession({ session: 's' })).prefixBreaks).toBe(1);
  });

  test('an empty message and a bad limit are refused', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    expect(await codeOf(fixture.cwm.send({ session: 's', text: ' ' }, never()))).toBe('CWM-1003');
    expect(await codeOf(fixture.cwm.send({ session: 's', text: 'x', maxTokens: 0 }, never()))).toBe('CWM-1003');
  });
});

describe('prime', () => {
  test('files become the start of the conversation, computed before the first message', async () => {
    const fixture = await coreFixture();
    await fixture.cwm.createSession({ id: 's' });
    const primed = await fixture.cwm.prime({ session: 's', paths: ['/a.ts'] }, never());
    expect(primed.files).toEqual([{ path: 'a.ts', bytes: 20 }]);
    const { cachedTokens, prefixBreak } = await fixture.cwm.send({ session: 's', text: 'What is a?' }, never());
    expect(prefixBreak).toBeNull();
    expect(cachedTokens).toBe(Math.floor(primed.promptTokens / 4) * 4);
  });

  test('a file that does not fit is left out and named; smaller ones after it still fit', async () => {
    const fixture = await coreFixture();
    await fixture.cwm.createSession({ id: 's' });
    fixture.fixture.files = {
      files: [
        { path: 'big', text: 'x'.repeat(500) },
        { path: 'small', text: 'y' },
      ],
      skipped: [{ path: 'picture.png', why: 'It is not text.' }],
    };
    const primed = await fixture.cwm.prime({ session: 's', paths: ['/'], maxTokens: 100 }, never());
    expect(primed.files.map((file) => file.path)).toEqual(['small']);
    expect(primed.skipped.map((file) => file.path)).toEqual(['picture.png', 'big']);
  });

  test('when nothing fits, the session is as it was', async () => {
    const fixture = await coreFixture();
    await fixture.cwm.createSession({ id: 's' });
    expect(await codeOf(fixture.cwm.prime({ session: 's', paths: ['/'], maxTokens: 5 }, never()))).toBe('CWM-7011');
    expect(await fixture.cwm.getSession({ session: 's' })).toMatchObject({ phase: 'Idle', tokens: null });
    expect(await codeOf(fixture.cwm.prime({ session: 's', paths: [] }, never()))).toBe('CWM-1003');
  });
});

describe('projects', () => {
  test('S2-16 a project remembers its session; a new or thawed one takes its place, a deleted one leaves it', async () => {
    const fixture = await coreFixture();
    const project = 'file:///home/me/project';
    const active = async () => (await fixture.cwm.currentSession({ project })).session?.id ?? null;
    expect(await active()).toBeNull();
    await fixture.cwm.createSession({ id: 'a', project });
    await fixture.cwm.createSession({ id: 'b', project: `${project}/` });
    expect(await active()).toBe('b');
    await fixture.cwm.setCurrentSession({ project, session: 'a' });
    expect(await active()).toBe('a');
    await fixture.cwm.deleteSession({ session: 'a' }, never());
    expect(await active()).toBeNull();
  });
});
