import { describe, expect, test } from 'vitest';
import { CwmError } from '../../../src/protocol/errors.ts';
import { codeOf, coreFixture, never, talkedSession } from '../coreFixture.ts';

describe('an answer', () => {
  test('K5 that is nothing but reasoning is not stored: the text stays as a draft', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    const generate = fixture.engine.generate.bind(fixture.engine);
    fixture.engine.generate = async (...args) => ({
      ...(await generate(...args)),
      text: '',
      reasoning: 'Hm.',
      finishReason: 'length',
    });
    expect(await codeOf(fixture.cwm.send({ session: 's', text: 'precious words' }, never()))).toBe('CWM-5102');
    expect(await fixture.cwm.getSession({ session: 's' })).toMatchObject({ phase: 'Idle', draft: 'precious words' });
    expect((await fixture.cwm.listMessages({ session: 's' })).total).toBe(2);
  });

  test('K5 keeps its reasoning as a part of its own, which no prompt holds', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    const generate = fixture.engine.generate.bind(fixture.engine);
    const sent: string[] = [];
    fixture.engine.generate = async (request, ...rest) => {
      sent.push(JSON.stringify(request.messages));
      return { ...(await generate(request, ...rest)), reasoning: 'Let me think.' };
    };
    await fixture.cwm.send({ session: 's', text: 'one' }, never());
    await fixture.cwm.send({ session: 's', text: 'two' }, never());
    const { items } = await fixture.cwm.listMessages({ session: 's' });
    expect(items.at(-1)?.content).toMatchObject({ type: 'text', reasoning: 'Let me think.' });
    expect(sent.at(-1)).not.toContain('Let me think.');
  });

  test('K5 that was cut at its limit says so, and how to have the rest', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    const generate = fixture.engine.generate.bind(fixture.engine);
    fixture.engine.generate = async (...args) => ({ ...(await generate(...args)), finishReason: 'length' });
    const { notes } = await fixture.cwm.send({ session: 's', text: 'one', maxTokens: 12 }, never());
    expect(notes).toEqual([expect.stringMatching(/limit of 12 tokens.*continue it/)]);
  });
});

test('K10 a message with half of a character in it is refused where it comes in', async () => {
  const fixture = await coreFixture();
  await talkedSession(fixture);
  expect(await codeOf(fixture.cwm.send({ session: 's', text: 'a\ud83d' }, never()))).toBe('CWM-1003');
});

test('K1 files are given to a server that cannot count tokens: their cost is estimated, and the result says so', async () => {
  const fixture = await coreFixture();
  await talkedSession(fixture);
  fixture.engine.tokenize = () => Promise.reject(new CwmError('NotAnEngine', 'no /tokenize'));
  const { files, notes } = await fixture.cwm.prime({ session: 's', paths: ['/a.ts'], maxTokens: 1000 }, never());
  expect(files).toHaveLength(1);
  expect(notes).toEqual([expect.stringContaining('estimated')]);
});
