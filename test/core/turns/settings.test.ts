import { describe, expect, test } from 'vitest';
import { isCwmError } from '../../../src/protocol/errors.ts';
import { shapes } from '../../../src/protocol/routes/shapes.ts';
import { codeOf, coreFixture, never, talkedSession } from '../coreFixture.ts';
import { collectRequests } from '../collectRequests.ts';

describe('settings of a session', () => {
  test('S4-01 a session is created with them, and they can be changed later', async () => {
    const { cwm } = await coreFixture();
    const created = await cwm.createSession({ id: 's', tags: ['a'], mode: 'plan', sampling: { temperature: 0.5 } });
    expect(created).toMatchObject({ tags: ['a'], settings: { mode: 'plan', sampling: { temperature: 0.5 } } });
    const changed = await cwm.updateSession({
      session: 's',
      title: 'Caches',
      description: 'What they cost',
      tags: [],
      role: 'planner',
      sampling: { temperature: null, topP: 0.9, stop: ['END'], seed: 7 },
    });
    expect(changed).toMatchObject({ title: 'Caches', description: 'What they cost', tags: [], prefix: null });
    expect((await cwm.getSession({ session: 's' })).settings).toEqual({
      mode: 'plan',
      role: 'planner',
      sampling: { topP: 0.9, stop: ['END'], seed: 7 },
    });
  });

  test('its title is the first words of its first message, until it is renamed', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    const { title } = await fixture.cwm.getSession({ session: 's' });
    expect(title).toBe('Please explain what a prefix cache is good for.');
    await fixture.cwm.updateSession({ session: 's', title: 'Prefixes' });
    await fixture.cwm.send({ session: 's', text: 'And more?' });
    expect((await fixture.cwm.getSession({ session: 's' })).title).toBe('Prefixes');
  });

  test('a message is drawn as the session says, and the message may say otherwise', async () => {
    const fixture = await coreFixture();
    const requests = collectRequests(fixture.engine);
    const sampling = { temperature: 0.7, topP: 0.8, maxTokens: 9, stop: ['.'], seed: 3 };
    await fixture.cwm.createSession({ id: 's', sampling });
    await fixture.cwm.send({ session: 's', text: 'one' });
    await fixture.cwm.send({ session: 's', text: 'two', temperature: 0, maxTokens: 20 });
    expect(requests[0]).toMatchObject(sampling);
    expect(requests[1]).toMatchObject({ ...sampling, temperature: 0, maxTokens: 20 });
  });

  test.each([
    { sampling: { temperature: 3 } },
    { sampling: { topP: 0 } },
    { sampling: { maxTokens: 0 } },
    { mode: 'other' },
    { tags: ['no spaces'] },
    { title: ' ' },
    { systemPrompt: 'not there' },
  ])('bad ones are refused before anything changes: %j', async (given) => {
    const { cwm } = await coreFixture();
    const { version } = await cwm.createSession({ id: 's' });
    const input = { session: 's', ...given } as never;
    const isRefusedByRoute = !shapes.updateSession.input.safeParse(input).success;
    const code = isRefusedByRoute ? 'CWM-1003' : await codeOf(cwm.updateSession(input));
    expect(code).toBe('CWM-1003');
    expect((await cwm.getSession({ session: 's' })).version).toBe(version);
  });
});

describe('the system prompt of a session', () => {
  test('a session takes the text that a named prompt has then, and stands before its messages', async () => {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    const requests = collectRequests(fixture.engine);
    await cwm.putPrompt({ prompt: 'terse', text: 'Be brief.' });
    await cwm.createSession({ id: 's', systemPrompt: 'terse' });
    await cwm.putPrompt({ prompt: 'terse', text: 'Say nothing.' });
    await cwm.send({ session: 's', text: 'Hello.' });
    expect(requests[0]?.messages).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hello.' },
    ]);
  });

  test('the default prompt is that of sessions which name none; it is empty at first', async () => {
    const { cwm } = await coreFixture();
    expect((await cwm.listPrompts()).items).toMatchObject([{ id: 'default', text: '' }]);
    expect((await cwm.createSession({ id: 'before' })).settings).toEqual({});
    await cwm.putPrompt({ prompt: 'default', text: 'Answer in English.' });
    const { settings } = await cwm.createSession({ id: 'after' });
    expect(settings?.systemPrompt).toEqual({ id: 'default', text: 'Answer in English.' });
    await cwm.deletePrompt({ prompt: 'default' });
    expect(await codeOf(cwm.deletePrompt({ prompt: 'default' }))).toBe('CWM-2012');
    expect(await codeOf(cwm.updateSession({ session: 'after', systemPrompt: 'gone' }))).toBe('CWM-2012');
  });

  test('a change that breaks the prefix says what it costs first, and changes nothing until it is confirmed', async () => {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    await talkedSession(fixture);
    const { tokens, version } = await cwm.getSession({ session: 's' });
    await cwm.putPrompt({ prompt: 'terse', text: 'Be brief.' });
    const preview = await cwm.updateSession({ session: 's', systemPrompt: 'terse', preview: true });
    expect(preview).toMatchObject({ version, prefix: { keptTokens: 0, lostTokens: tokens?.count } });
    const refused = await cwm.updateSession({ session: 's', systemPrompt: 'terse' }).catch((error: unknown) => error);
    expect(isCwmError(refused, 'PrefixWouldBreak')).toBe(true);
    expect(String(refused)).toContain(`${tokens?.count} of the context's ${tokens?.count} tokens`);
    expect((await cwm.getSession({ session: 's' })).version).toBe(version);

    await cwm.updateSession({ session: 's', systemPrompt: 'terse', breakPrefix: true });
    const requests = collectRequests(fixture.engine);
    const { prefixBreak } = await cwm.send({ session: 's', text: 'Thanks.' });
    expect(requests[0]?.messages[0]).toEqual({ role: 'system', content: 'Be brief.' });
    expect(requests[0]?.promptIds).toBeUndefined();
    expect(prefixBreak?.likelyCause).toBe('The system prompt of the session was changed.');
  });

  test('a prompt that is taken away does not stay in the stored ids', async () => {
    const fixture = await coreFixture();
    const { cwm, engine } = fixture;
    // A template that drops old answers would have every prompt continue from the ids.
    engine.template = (messages) => messages.filter(({ role }) => role !== 'assistant');
    await cwm.putPrompt({ prompt: 'terse', text: 'Be brief.' });
    await cwm.createSession({ id: 's', systemPrompt: 'terse' });
    await cwm.send({ session: 's', text: 'Hello.' });
    await cwm.updateSession({ session: 's', systemPrompt: 'default', breakPrefix: true });
    const requests = collectRequests(engine);
    await cwm.send({ session: 's', text: 'Thanks.' });
    expect(requests[0]?.promptIds).toBeUndefined();
    expect(requests[0]?.messages.map(({ role }) => role)).not.toContain('system');
  });

  test('a window has the prompt, and the session that is thawed from it answers under it', async () => {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    await cwm.putPrompt({ prompt: 'terse', text: 'Be brief.' });
    await cwm.createSession({ id: 's', systemPrompt: 'terse', sampling: { seed: 5 } });
    await cwm.send({ session: 's', text: 'Hello.' });
    await cwm.freeze({ session: 's', window: 'w' });
    expect(await codeOf(cwm.updateSession({ session: 's', mode: 'plan' }))).toBe('CWM-3002');
    await cwm.updateSession({ session: 's', title: 'Asleep' });
    await cwm.thaw({ window: 'w', session: 't' });
    const requests = collectRequests(fixture.engine);
    const { prefixBreak } = await cwm.send({ session: 't', text: 'More.' });
    expect(prefixBreak).toBeNull();
    expect(requests[0]).toMatchObject({ seed: 5, messages: [{ role: 'system', content: 'Be brief.' }, {}, {}, {}] });
  });
});

describe('a thaw with a continuation', () => {
  test('S0-05 its prompt is sent after the restoration, and the receipt has the answer', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    await fixture.cwm.freeze({ session: 's', window: 'w' }, never());
    const result = await fixture.cwm.thaw({ window: 'w', session: 't', prompt: 'Go on.' }, never());
    expect(result).toMatchObject({ verdict: 'proven', answer: { session: 't', text: 'fine' } });
    const { items } = await fixture.cwm.listMessages({ session: 't' });
    expect(items.map(({ content }) => content)).toMatchObject([{}, {}, { text: 'Go on.' }, { text: 'fine' }]);
  });

  test('a prompt without an answer is the draft of the opened session, and a note', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    await fixture.cwm.freeze({ session: 's', window: 'w' }, never());
    fixture.engine.onCall = async (call) => {
      if (call === 'generate') fixture.engine.fault = 'EngineFailed';
    };
    const result = await fixture.cwm.thaw({ window: 'w', session: 't', prompt: 'Go on.' }, never());
    expect(result.answer).toBeUndefined();
    expect(result.notes.at(-1)).toContain('The prompt got no answer');
    expect((await fixture.cwm.getSession({ session: 't' })).draft).toBe('Go on.');
  });

  test('S0-07 with "warm" false it opens the text and asks the engine nothing', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    await fixture.cwm.freeze({ session: 's', window: 'w' }, never());
    fixture.engine.calls = [];
    const receipt = await fixture.cwm.thaw({ window: 'w', session: 't', warm: false }, never());
    expect(receipt).toMatchObject({ verdict: 'text-only', cachedTokens: null });
    expect(receipt.notes).toContain('The KV was not loaded, as asked: the next message loads or computes it.');
    expect(fixture.engine.calls).toEqual([]);
    expect((await fixture.cwm.send({ session: 't', text: 'More.' }, never())).prefixBreak).toBeNull();
  });
});
