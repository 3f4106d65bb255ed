import { describe, expect, test } from 'vitest';
import type { ChatMessage } from '../../../src/core/ports/engine.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import { coreFixture, never, talkedSession, type CoreFixture } from '../coreFixture.ts';

const dated =
  (day: string) =>
  (messages: readonly ChatMessage[]): ChatMessage[] => [{ role: 'system', content: `Today is ${day}.` }, ...messages];
const dropsReasoning = (messages: readonly ChatMessage[]): ChatMessage[] =>
  messages.map((message) => ({ ...message, content: message.content.replace(/^.*<\/think>/s, '') }));
const tools =
  (order: string) =>
  (messages: readonly ChatMessage[]): ChatMessage[] => [{ role: 'system', content: `Tools: ${order}` }, ...messages];

/** A window `w` of a conversation that was rendered with one template, and another template from then on. */
async function frozenUnder(
  before: CoreFixture['engine']['template'],
  after: CoreFixture['engine']['template'],
  answer = 'fine',
): Promise<CoreFixture> {
  const fixture = await coreFixture();
  fixture.engine.template = before;
  fixture.engine.answer = answer;
  await talkedSession(fixture);
  await fixture.cwm.freeze({ session: 's', window: 'w' }, never());
  fixture.engine.template = after;
  fixture.engine.answer = 'yes';
  return fixture;
}

const cases = {
  'puts in a date': [dated('Monday'), dated('Tuesday'), 'fine'],
  'drops old reasoning': [
    (messages: readonly ChatMessage[]) => messages,
    dropsReasoning,
    '<think>hm hm hm</think>fine',
  ],
  'lists tools in another order': [tools('read, write'), tools('write, read'), 'fine'],
} as const;

describe.each(Object.entries(cases))('a template that %s', (_, [before, after, answer]) => {
  test('what a thaw proves is what the next message uses', async () => {
    const fixture = await frozenUnder(before, after, answer);
    const receipt = await fixture.cwm.thaw({ window: 'w', session: 't' }, never());
    expect(receipt.verdict).toBe('proven');
    const { nextMessage } = receipt;
    const whole = Math.floor(receipt.tokens / 4) * 4;
    expect(nextMessage).toMatchObject({ reusedTokens: whole, leavesAtToken: null });
    expect(nextMessage?.rerenderTokens).toBeGreaterThan(0);
    expect(receipt.notes[0]).toMatch(/^The next message reuses [\d,]+ of [\d,]+ tokens\./);

    const sent = await fixture.cwm.send({ session: 't', text: 'Continue.' }, never());
    expect(sent).toMatchObject({ cachedTokens: whole, promptTokens: nextMessage?.promptTokens, prefixBreak: null });
    expect(sent.rerenderTokens).toBe(nextMessage?.rerenderTokens);
    const again = await fixture.cwm.send({ session: 't', text: 'And then?' }, never());
    expect(again.prefixBreak).toBeNull();
  });

  test('rendered again on request, the break is located and its tokens are those that were told', async () => {
    const fixture = await frozenUnder(before, after, answer);
    const { nextMessage } = await fixture.cwm.thaw({ window: 'w', session: 't' }, never());
    const sent = await fixture.cwm.send({ session: 't', text: 'Continue.', continueFrom: 'template' }, never());
    expect(sent.prefixBreak).not.toBeNull();
    expect(sent.promptTokens - (sent.prefixBreak?.atToken ?? 0)).toBe(nextMessage?.rerenderTokens);
    expect(sent.rerenderTokens).toBeUndefined();
  });

  test('an engine that takes no ids: the receipt says how much of the next message is warm, and it is so', async () => {
    const fixture = await frozenUnder(before, after, answer);
    fixture.engine.takesTokenIds = false;
    const receipt = await fixture.cwm.thaw({ window: 'w', session: 't' }, never());
    expect(receipt.verdict).toBe('proven');
    const sent = await fixture.cwm.send({ session: 't', text: 'Continue.' }, never());
    expect(receipt.nextMessage).toMatchObject({
      reusedTokens: sent.cachedTokens,
      promptTokens: sent.promptTokens,
      leavesAtToken: sent.prefixBreak?.atToken,
    });
    expect(receipt.notes[0]).toContain('The chat template leaves the frozen tokens at token');
  });

  test('files continue from the ids too', async () => {
    const fixture = await frozenUnder(before, after, answer);
    const { tokens } = await fixture.cwm.thaw({ window: 'w', session: 't' }, never());
    const primed = await fixture.cwm.prime({ session: 't', paths: ['/a.ts'] }, never());
    expect(primed.cachedTokens).toBe(Math.floor(tokens / 4) * 4);
    expect((await fixture.cwm.send({ session: 't', text: 'What is a?' }, never())).prefixBreak).toBeNull();
  });
});

describe('the template is used instead, and the answer says so,', () => {
  const arranged = () => frozenUnder(dated('Monday'), dated('Tuesday'));

  test('where the ids are not those of the conversation any more', async () => {
    const fixture = await arranged();
    await fixture.cwm.thaw({ window: 'w', session: 't' }, never());
    const session = await fixture.cwm.getSession({ session: 't' });
    const { tokens } = session;
    if (!tokens) throw new Error('the session has no tokens');
    const ids = await fixture.store.sessions.loadTokens(session.id, tokens.sha256);
    const sha256 = await fixture.store.sessions.saveTokens(session.id, ids.with(tokens.promptCount + 1, 99));
    await fixture.store.sessions.update({ ...session, tokens: { ...tokens, sha256 }, version: session.version + 1 });
    const sent = await fixture.cwm.send({ session: 't', text: 'Continue.' }, never());
    expect(sent.notes[0]).toContain('not those of this conversation');
    expect(sent.prefixBreak).not.toBeNull();
  });

  test('where the engine refuses the ids', async () => {
    const fixture = await arranged();
    await fixture.cwm.thaw({ window: 'w', session: 't' }, never());
    fixture.engine.refusesIds = true;
    const sent = await fixture.cwm.send({ session: 't', text: 'Continue.' }, never());
    expect(sent.notes[0]).toContain('did not take the stored token ids');
    expect(sent.prefixBreak).not.toBeNull();
  });
});

test('a template that changes nothing is left to render the prompt', async () => {
  const fixture = await frozenUnder(
    (messages) => messages,
    (messages) => messages,
  );
  const receipt = await fixture.cwm.thaw({ window: 'w', session: 't' }, never());
  expect(receipt.nextMessage).toMatchObject({ rerenderTokens: null, leavesAtToken: null });
  fixture.engine.refusesIds = true;
  const sent = await fixture.cwm.send({ session: 't', text: 'Continue.' }, never());
  expect(sent).toMatchObject({ prefixBreak: null, notes: [] });
});

test('an engine that does not tell the text of ids continues from them all the same', async () => {
  const fixture = await frozenUnder(dated('Monday'), dated('Tuesday'));
  fixture.engine.tellsText = false;
  await fixture.cwm.thaw({ window: 'w', session: 't' }, never());
  expect((await fixture.cwm.send({ session: 't', text: 'Continue.' }, never())).prefixBreak).toBeNull();
});

describe('the next message is planned while the KV is loaded,', () => {
  /** Tokenizes nothing until it is aborted. */
  const hang = (_: readonly ChatMessage[], __: boolean, signal: AbortSignal): Promise<number[]> =>
    new Promise((_resolve, reject) => {
      signal.throwIfAborted();
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });

  test('so that it takes no time of its own', async () => {
    const fixture = await frozenUnder(dated('Monday'), dated('Tuesday'));
    const rendered = Promise.withResolvers<string>();
    const template = dated('Tuesday');
    fixture.engine.template = (messages) => {
      rendered.resolve('beside it');
      return template(messages);
    };
    const seen: string[] = [];
    fixture.engine.onCall = async () => {
      const late = new Promise<string>((resolve) => void setTimeout(resolve, 1000, 'after it'));
      seen.push(await Promise.race([rendered.promise, late]));
    };
    expect((await fixture.cwm.thaw({ window: 'w', session: 't' }, never())).nextMessage).toBeDefined();
    expect(seen).toContain('beside it');
  });

  test('nobody waits for it where nothing was reused', async () => {
    const fixture = await frozenUnder(dated('Monday'), dated('Tuesday'));
    fixture.engine.evict();
    fixture.engine.tokenize = hang;
    const receipt = await fixture.cwm.thaw({ window: 'w', session: 't' }, never());
    expect(receipt).toMatchObject({ verdict: 'rebuilt' });
    expect(receipt.nextMessage).toBeUndefined();
  });

  test('or where the engine is lost', async () => {
    const fixture = await frozenUnder(dated('Monday'), dated('Tuesday'));
    fixture.engine.tokenize = hang;
    fixture.engine.onCall = async () => {
      throw new CwmError('EngineUnavailable', 'It is gone.');
    };
    expect(await fixture.cwm.thaw({ window: 'w', session: 't' }, never())).toMatchObject({ verdict: 'text-only' });
  });
});
