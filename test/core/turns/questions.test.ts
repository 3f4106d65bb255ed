import { beforeEach, describe, expect, test } from 'vitest';
import type { ToolCall } from '../../../src/protocol/schemas/toolCall.ts';
import { messageId, sessionId } from '../../support/ids.ts';
import { codeOf, coreFixture, never, type CoreFixture } from '../coreFixture.ts';
import { restarted } from './restarted.ts';

let fixture: CoreFixture;
beforeEach(async () => {
  fixture = await coreFixture();
});

const s = { session: 's' };
const asks = (given: object | string, id = 'q'): ToolCall => ({
  id,
  name: 'ask_user',
  arguments: typeof given === 'string' ? given : JSON.stringify(given),
});
const colour = { question: 'Which colour?', choices: ['red', 'blue'] };
const create = (more: object = {}) =>
  fixture.cwm.createSession({ id: 's', tools: { policy: 'auto-approve' }, ...more });
const send = (text = 'Paint it.') => fixture.cwm.send({ ...s, text }, never());
const session = () => fixture.cwm.getSession(s);
const contents = async () => (await fixture.cwm.listMessages(s)).items.map(({ content }) => content);

describe('a question of the model', () => {
  test('S4-03 is a message of its own kind; the turn waits under every policy, and the answer is its result', async () => {
    await create();
    fixture.engine.toolCalls = [[asks(colour)]];
    const { pendingTools } = await send();
    expect(pendingTools?.calls).toMatchObject([
      { id: 'q', question: { text: 'Which colour?', choices: ['red', 'blue'] } },
    ]);
    expect(await session()).toMatchObject({ phase: 'AwaitingToolApproval' });
    expect(await codeOf(send('Well?'))).toBe('CWM-3001');
    const { text } = await fixture.cwm.answerQuestion({ ...s, answer: 'blue' }, never());
    expect(text).toBe('fine');
    expect(await contents()).toMatchObject([
      { type: 'text' },
      { type: 'question', calls: [{ id: 'q', name: 'ask_user', question: { text: 'Which colour?' } }] },
      { type: 'tool-result', call: 'q', name: 'ask_user', text: 'blue', outcome: 'done' },
      { type: 'text', text: 'fine' },
    ]);
    expect(fixture.tools.called).toEqual([]);
    expect(await session()).toMatchObject({ phase: 'Idle' });
  });

  test('S4-31 survives a restart', async () => {
    await create();
    fixture.engine.toolCalls = [[asks(colour)]];
    await send();
    const next = await restarted(fixture);
    const state = await next.turnState(s);
    expect(state.pendingToolApprovals).toMatchObject([{ id: 'q', question: { choices: ['red', 'blue'] } }]);
    expect((await next.answerQuestion({ ...s, call: 'q', answer: 'Green, please.' }, never())).text).toBe('fine');
    expect((await contents())[2]).toMatchObject({ text: 'Green, please.', outcome: 'done' });
    await next.close();
  });

  test('that the user does not answer has that as its result, with the reason', async () => {
    await create();
    fixture.engine.toolCalls = [[asks(colour)]];
    await send();
    await fixture.cwm.denyTools({ ...s, reason: 'Choose yourself.' }, never());
    expect((await contents())[2]).toMatchObject({
      text: 'The user did not answer. Choose yourself.',
      outcome: 'denied',
    });
  });

  test('can be cancelled: it has a result all the same', async () => {
    await create();
    fixture.engine.toolCalls = [[asks(colour)]];
    await send();
    expect(await fixture.cwm.cancelTurn(s, never())).toMatchObject({ phase: 'Idle' });
    expect((await contents())[2]).toMatchObject({ outcome: 'interrupted' });
    expect((await send('Never mind.')).text).toBe('fine');
  });

  test('of several that is answered keeps its answer when the turn is cancelled', async () => {
    await create();
    fixture.engine.toolCalls = [[asks(colour, 'a'), asks({ question: 'How large?' }, 'b')]];
    await send();
    await fixture.cwm.answerQuestion({ ...s, answer: 'red' }, never());
    await fixture.cwm.cancelTurn(s, never());
    expect((await contents()).slice(2, 4)).toMatchObject([
      { call: 'a', text: 'red', outcome: 'done' },
      { call: 'b', outcome: 'interrupted' },
    ]);
  });

  test('is answered and not approved, and a call of a tool the other way round', async () => {
    await create({ tools: { policy: 'manual' } });
    fixture.engine.toolCalls = [[asks(colour), { id: 'r', name: 'read_file', arguments: '{}' }]];
    await send();
    expect(await codeOf(fixture.cwm.approveTools({ ...s, calls: ['q'] }, never()))).toBe('CWM-1003');
    expect(await codeOf(fixture.cwm.answerQuestion({ ...s, call: 'r', answer: 'Yes.' }, never()))).toBe('CWM-1003');
    expect(await codeOf(fixture.cwm.answerQuestion({ ...s, answer: ' ' }, never()))).toBe('CWM-1003');
    const approved = await fixture.cwm.approveTools(s, never());
    expect(approved.pendingTools?.calls.map(({ decision }) => decision)).toEqual([undefined, 'approved']);
    expect(await codeOf(fixture.cwm.approveTools(s, never()))).toBe('CWM-1003');
    await fixture.cwm.answerQuestion({ ...s, answer: 'red' }, never());
    expect(fixture.tools.called.map(({ name }) => name)).toEqual(['read_file']);
    expect((await contents()).slice(2, 4)).toMatchObject([{ text: 'red' }, { call: 'r' }]);
  });

  test('of several takes the answer for the first; a planner may ask, too', async () => {
    await create({ role: 'planner', mode: 'plan' });
    fixture.engine.toolCalls = [[asks(colour, 'a'), asks({ question: 'How large?' }, 'b')]];
    await send();
    const { pendingTools } = await fixture.cwm.answerQuestion({ ...s, answer: 'red' }, never());
    expect(pendingTools?.calls.map(({ answer }) => answer)).toEqual(['red', undefined]);
    await fixture.cwm.answerQuestion({ ...s, answer: '2 m' }, never());
    expect((await contents()).slice(2, 4)).toMatchObject([
      { call: 'a', text: 'red' },
      { call: 'b', text: '2 m' },
    ]);
  });

  test.each([
    ['nothing', '{}', 'The argument "question" is missing.'],
    ['half of one', '{"question": "Wh', 'The arguments are not JSON'],
    ['choices that are no texts', { question: 'Which?', choices: [1] }, 'not a list of texts'],
  ])('that asks %s does not reach the user; the model is told what is wrong', async (_, given, told) => {
    await create();
    fixture.engine.toolCalls = [[asks(given)]];
    expect((await send()).text).toBe('fine');
    expect((await contents()).slice(1, 3)).toMatchObject([
      { type: 'tool-calls' },
      { outcome: 'failed', text: expect.stringContaining(told) },
    ]);
  });

  test('cannot come from a tool of an MCP server of the same name', async () => {
    const [tool] = fixture.tools.tools;
    fixture.tools.tools = [...fixture.tools.tools, { ...tool!, name: 'ask_user' }];
    await create();
    fixture.engine.toolCalls = [[asks(colour)]];
    const { notes, pendingTools } = await send();
    expect(pendingTools).toBeDefined();
    expect(notes.join(' ')).toContain('A tool of an MCP server is left out');
    expect(fixture.engine.offered[0]?.filter((name) => name === 'ask_user')).toHaveLength(1);
  });
});

describe('a plan', () => {
  test('S4-03 is what a session that plans answers; accepted, the session acts and the model carries it out', async () => {
    await create({ mode: 'plan' });
    fixture.engine.toolCalls = [[{ id: 'x', name: 'book_room', arguments: '{}' }]];
    await send('Plan it.');
    expect((await contents()).map(({ type }) => type)).toEqual(['text', 'tool-calls', 'tool-result', 'plan']);
    expect(fixture.tools.called).toEqual([]);
    fixture.engine.toolCalls = [[{ id: 'y', name: 'book_room', arguments: '{}' }]];
    expect((await fixture.cwm.acceptPlan(s, never())).text).toBe('fine');
    expect(fixture.tools.called.map(({ name }) => name)).toEqual(['book_room']);
    expect(await session()).toMatchObject({ phase: 'Idle', settings: { mode: 'act' } });
    expect((await contents()).slice(4)).toMatchObject([
      { type: 'text', text: 'I accept the plan. Carry it out.' },
      { type: 'tool-calls' },
      { type: 'tool-result' },
      { type: 'text' },
    ]);
  });

  test('that is not the last message, or was cut, cannot be accepted; the session still plans', async () => {
    await create({ mode: 'plan' });
    expect(await codeOf(fixture.cwm.acceptPlan(s, never()))).toBe('CWM-1003');
    fixture.engine.finishReason = 'length';
    await send('Plan it.');
    expect((await contents())[1]).toMatchObject({ type: 'plan' });
    expect(await codeOf(fixture.cwm.acceptPlan(s, never()))).toBe('CWM-1003');
    fixture.engine.finishReason = 'stop';
    await fixture.cwm.continueAnswer(s, never());
    expect((await contents())[1]).toMatchObject({ type: 'plan', text: 'finefine' });
    expect(await session()).toMatchObject({ settings: { mode: 'plan' } });
    await fixture.cwm.acceptPlan({ ...s, text: 'Go.' }, never());
    expect(await codeOf(fixture.cwm.acceptPlan(s, never()))).toBe('CWM-1003');
  });

  test('whose acceptance gets no answer leaves the message as the draft of a session that acts', async () => {
    await create({ mode: 'plan' });
    await send('Plan it.');
    fixture.engine.fault = 'EngineRejected';
    expect(await codeOf(fixture.cwm.acceptPlan(s, never()))).toMatch(/^CWM-/);
    expect(await session()).toMatchObject({ settings: { mode: 'act' }, draft: 'I accept the plan. Carry it out.' });
  });
});

test('S4-03 of a message that a later version stored, the model gets the text, and the user a note', async () => {
  await create();
  await send('One.');
  const { branches } = await session();
  const head = branches['main']?.head ?? null;
  const [answer] = await fixture.store.messages.load(sessionId('s'), [head!]);
  const whole = { type: 'workflow', text: 'Step 1.' };
  const later = {
    ...answer!,
    id: messageId('later'),
    parentId: head,
    sequence: 3,
    content: { type: 'unknown', kind: 'workflow', whole },
  } as const;
  await fixture.store.messages.append(sessionId('s'), [later]);
  const next = await fixture.cwm.getSession(s);
  const main = { ...next.branches['main']!, head: later.id, length: 3 };
  const { answering: _, ...record } = next;
  await fixture.store.sessions.update({ ...record, branches: { main }, version: record.version + 1 });
  const { notes } = await (await restarted(fixture)).send({ ...s, text: 'Two.' }, never());
  expect(notes.join(' ')).toContain('does not know (workflow)');
});
