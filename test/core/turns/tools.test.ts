import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { CwmError } from '../../../src/protocol/errors.ts';
import type { ToolCall, ToolSettings } from '../../../src/protocol/schemas/toolCall.ts';
import { codeOf, coreFixture, never, type CoreFixture } from '../coreFixture.ts';
import { restarted } from './restarted.ts';

let fixture: CoreFixture;
beforeEach(async () => {
  fixture = await coreFixture();
});

const call = (name: string, given: object | string = {}, id = name): ToolCall => ({
  id,
  name,
  arguments: typeof given === 'string' ? given : JSON.stringify(given),
});

async function sessionWith(tools: ToolSettings, more: object = {}): Promise<void> {
  await fixture.cwm.createSession({ id: 's', tools, ...more });
}
const ask = (text = 'What is in the file?') => fixture.cwm.send({ session: 's', text }, never());
const session = () => fixture.cwm.getSession({ session: 's' });
const contents = async () => (await fixture.cwm.listMessages({ session: 's' })).items.map(({ content }) => content);
const results = async () => (await contents()).filter((content) => content.type === 'tool-result');

describe('tool calls', () => {
  test('S4-14 run without a question where the policy allows it; the model gets their results, paired with the calls', async () => {
    await sessionWith({ policy: 'auto-approve' });
    fixture.engine.toolCalls = [
      [call('read_file', { path: 'a' }, '1'), call('look_up', {}, '2')],
      [call('read_file', {}, '3')],
    ];
    const phases: string[] = [];
    fixture.tools.act = async (name) => {
      phases.push((await session()).phase);
      return { text: `${name} says so`, hasFailed: false };
    };
    const { text, pendingTools } = await ask();
    expect([text, pendingTools]).toEqual(['fine', undefined]);
    expect(phases).toEqual(['ExecutingTools', 'ExecutingTools', 'ExecutingTools']);
    expect(await contents()).toMatchObject([
      { type: 'text' },
      { type: 'tool-calls', calls: [{ id: '1' }, { id: '2' }] },
      { type: 'tool-result', call: '1', name: 'read_file', text: 'read_file says so', outcome: 'done' },
      { type: 'tool-result', call: '2', name: 'look_up' },
      { type: 'tool-calls', calls: [{ id: '3' }] },
      { type: 'tool-result', call: '3' },
      { type: 'text', text: 'fine' },
    ]);
    expect(fixture.tools.called[0]).toEqual({ name: 'read_file', given: { path: 'a' } });
    expect(await session()).toMatchObject({ phase: 'Idle', draft: null });
    expect(await session()).not.toHaveProperty('pendingTools');
  });

  test('a session without tool settings offers the model none', async () => {
    await fixture.cwm.createSession({ id: 's' });
    await ask();
    expect(fixture.engine.offered).toEqual([[]]);
  });

  test('an engine that has no use for tools is offered none, and the user is told why', async () => {
    await sessionWith({ policy: 'manual' });
    fixture.engine.noToolsWhy = 'This server takes no tools.';
    expect((await ask()).notes).toEqual(['This server takes no tools.']);
    expect(fixture.engine.offered).toEqual([[]]);
  });

  test('where no grammar holds the arguments of calls, an answer that calls by itself says so once', async () => {
    await sessionWith({ policy: 'auto-approve' });
    fixture.engine.freeArgumentsNote = 'Nobody holds them to a schema.';
    expect((await ask()).notes).toEqual([]);
    fixture.engine.toolCalls = [[call('read_file')], [call('look_up')]];
    expect((await ask()).notes).toEqual(['Nobody holds them to a schema.']);
    fixture.engine.toolCalls = [[call('read_file')]];
    const told = await fixture.cwm.send({ session: 's', text: 'Go.', toolChoice: 'read_file' }, never());
    expect(told.notes).toEqual([]);
  });

  test('S4-14 both roles offer the same tools in the same order; the gate refuses a planner what does not only read', async () => {
    await sessionWith({ policy: 'auto-approve' }, { role: 'planner' });
    fixture.engine.toolCalls = [[call('book_room'), call('read_file')]];
    await ask();
    const all = ['ask_user', 'book_room', 'delete_file', 'look_up', 'read_file'];
    expect(fixture.engine.offered).toEqual([all, all]);
    expect(fixture.tools.called.map(({ name }) => name)).toEqual(['read_file']);
    expect(await results()).toMatchObject([
      { outcome: 'denied', text: expect.stringContaining('may only read') },
      { outcome: 'done' },
    ]);
  });
});

describe('approval', () => {
  const needs: [ToolSettings, string, boolean][] = [
    [{ policy: 'manual' }, 'read_file', true],
    [{ policy: 'auto-approve' }, 'book_room', false],
    [{ policy: 'auto-approve' }, 'delete_file', true],
    [{ policy: 'white-list', allowed: ['read_file'] }, 'read_file', false],
    [{ policy: 'white-list', allowed: ['read_file'] }, 'look_up', true],
    [{ policy: 'white-list', allowed: ['delete_file'] }, 'delete_file', true],
    [{ policy: 'auto-loop' }, 'read_file', false],
    [{ policy: 'auto-loop' }, 'delete_file', true],
  ];
  test.each(needs)('S4-14 under %o a call of %s: %s', async (settings, name, asks) => {
    await sessionWith(settings);
    fixture.engine.toolCalls = [[call(name)]];
    const { pendingTools } = await ask();
    expect(pendingTools !== undefined).toBe(asks);
    expect((await session()).phase).toBe(asks ? 'AwaitingToolApproval' : 'Idle');
    const state = await fixture.cwm.turnState({ session: 's' });
    expect(state.pendingToolApprovals.map((each) => each.name)).toEqual(asks ? [name] : []);
    expect(state.canSendMessage).toBe(!asks);
    expect(fixture.tools.called).toHaveLength(asks ? 0 : 1);
  });

  test('S4-31 waits in the session over a restart; then the tool runs and the turn goes on', async () => {
    await sessionWith({ policy: 'manual' });
    fixture.engine.toolCalls = [[call('read_file', { path: 'a' })]];
    await ask();
    const next = await restarted(fixture);
    const waiting = await next.getSession({ session: 's' });
    expect(waiting).toMatchObject({
      phase: 'AwaitingToolApproval',
      pendingTools: { calls: [{ id: 'read_file', name: 'read_file' }] },
    });
    const { text } = await next.approveTools({ session: 's' }, never());
    expect(text).toBe('fine');
    expect(fixture.tools.called).toEqual([{ name: 'read_file', given: { path: 'a' } }]);
    expect(await session()).toMatchObject({ phase: 'Idle' });
    await next.close();
  });

  test('a denial and its reason are told to the model, and nothing runs', async () => {
    await sessionWith({ policy: 'manual' });
    fixture.engine.toolCalls = [[call('delete_file')]];
    await ask();
    const { text } = await fixture.cwm.denyTools({ session: 's', reason: 'That file is mine.' }, never());
    expect(text).toBe('fine');
    expect(fixture.tools.called).toEqual([]);
    expect(await results()).toMatchObject([
      { outcome: 'denied', text: 'This call was not allowed. That file is mine.' },
    ]);
  });

  test('of several calls waits for each; those approved run, and those denied do not', async () => {
    await sessionWith({ policy: 'manual' });
    fixture.engine.toolCalls = [[call('read_file'), call('look_up')]];
    await ask();
    const { pendingTools } = await fixture.cwm.approveTools({ session: 's', calls: ['look_up'] }, never());
    expect(pendingTools?.calls.map(({ decision }) => decision)).toEqual([undefined, 'approved']);
    expect(fixture.tools.called).toEqual([]);
    await fixture.cwm.denyTools({ session: 's' }, never());
    expect(fixture.tools.called.map(({ name }) => name)).toEqual(['look_up']);
    expect((await results()).map(({ call, outcome }) => [call, outcome])).toEqual([
      ['read_file', 'denied'],
      ['look_up', 'done'],
    ]);
  });

  test('for the session holds for the tool from then on, and never for a dangerous one', async () => {
    await sessionWith({ policy: 'manual' });
    for (const [name, asksAgain] of [
      ['read_file', false],
      ['delete_file', true],
    ] as const) {
      fixture.engine.toolCalls = [[call(name)], [], [call(name)]];
      await ask();
      await fixture.cwm.approveTools({ session: 's', forSession: true }, never());
      fixture.engine.toolCalls = [[call(name)]];
      expect((await ask()).pendingTools !== undefined).toBe(asksAgain);
    }
  });

  test('a waiting session takes no other turn and no freeze, and what names no waiting call is refused', async () => {
    await sessionWith({ policy: 'manual' });
    expect(await codeOf(fixture.cwm.approveTools({ session: 's' }, never()))).toBe('CWM-3001');
    fixture.engine.toolCalls = [[call('read_file')]];
    await ask();
    expect(await codeOf(ask())).toBe('CWM-3001');
    expect(await codeOf(fixture.cwm.freeze({ session: 's', window: 'w' }, never()))).toBe('CWM-3001');
    expect(await codeOf(fixture.cwm.approveTools({ session: 's', calls: ['other'] }, never()))).toBe('CWM-1003');
    expect((await session()).phase).toBe('AwaitingToolApproval');
  });

  test('can be cancelled: each call gets a result, and the conversation continues', async () => {
    await sessionWith({ policy: 'manual' });
    fixture.engine.toolCalls = [[call('read_file'), call('look_up')]];
    await ask();
    expect(await fixture.cwm.cancelTurn({ session: 's' }, never())).toMatchObject({ phase: 'Idle' });
    expect((await results()).map(({ outcome }) => outcome)).toEqual(['interrupted', 'interrupted']);
    expect((await ask('Never mind.')).text).toBe('fine');
  });
});

describe('bad tools and bad calls', () => {
  test('a model that calls tools for ever is stopped by the user: after 5 rounds, or 20 where all is approved', async () => {
    for (const [settings, rounds] of [
      [{ policy: 'auto-loop' }, 5],
      [{ policy: 'auto-loop', rounds: 7 }, 7],
      [{ policy: 'auto-approve' }, 20],
    ] as const) {
      fixture = await coreFixture();
      await sessionWith(settings);
      fixture.engine.toolCalls = Array.from({ length: 30 }, () => [call('read_file')]);
      const { pendingTools } = await ask();
      expect(fixture.tools.called).toHaveLength(rounds);
      expect(pendingTools?.calls[0]?.why).toContain(`${rounds} times in a row`);
    }
  });

  test.each([
    [
      'an invented tool',
      call('fly_to_moon'),
      'There is no tool "fly_to_moon". There are: ask_user, book_room, delete_file',
    ],
    ['half a call', call('read_file', '{"path": "a'), 'The arguments are not JSON'],
    ['arguments that are no object', call('read_file', '[1]'), 'not a JSON object'],
  ])('%s runs nothing; the model is told what is wrong', async (_, wrong, told) => {
    await sessionWith({ policy: 'auto-approve' });
    fixture.engine.toolCalls = [[wrong]];
    expect((await ask()).text).toBe('fine');
    expect(fixture.tools.called).toEqual([]);
    expect(await results()).toMatchObject([{ outcome: 'failed', text: expect.stringContaining(told) }]);
  });

  test('calls with one id, or none, get ids of their own', async () => {
    await sessionWith({ policy: 'auto-approve' });
    fixture.engine.toolCalls = [[call('read_file', {}, 'x'), call('look_up', {}, 'x'), call('look_up', {}, '')]];
    await ask();
    const ids = (await results()).map((result) => result.call);
    expect(new Set(ids).size).toBe(3);
    const [, calls] = await contents();
    expect(calls).toMatchObject({ type: 'tool-calls', calls: ids.map((id) => ({ id })) });
  });

  test('a tool that hangs is given up after its time, although it heeds no abort', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    await sessionWith({ policy: 'auto-approve', timeoutSeconds: 7 });
    fixture.engine.toolCalls = [[call('read_file')]];
    fixture.tools.act = () => {
      queueMicrotask(() => vi.advanceTimersByTime(7000));
      return new Promise(() => undefined);
    };
    expect((await ask()).text).toBe('fine');
    expect(await results()).toMatchObject([{ outcome: 'failed', text: 'The tool gave no result within 7 seconds.' }]);
  });

  test('a tool that floods is cut, one that dies is a failure', async () => {
    await sessionWith({ policy: 'auto-approve' });
    fixture.engine.toolCalls = [[call('read_file'), call('look_up')]];
    fixture.tools.act = async (name) => {
      if (name === 'look_up') throw new CwmError('ReadFailed', 'The server went away.');
      return { text: 'x'.repeat(1_000_000), hasFailed: false };
    };
    await ask();
    const [flood, dead] = await results();
    expect(flood!.text.length).toBeLessThan(66_000);
    expect(flood!.text).toContain('934,464 more characters were left out');
    expect(dead).toMatchObject({ outcome: 'failed', text: 'The tool failed: The server went away.' });
  });

  test('whoever stops the turn stops it behind the tool that runs; the calls left get a result all the same', async () => {
    await sessionWith({ policy: 'auto-approve' });
    fixture.engine.toolCalls = [[call('read_file'), call('look_up')]];
    const user = new AbortController();
    fixture.tools.act = async () => {
      user.abort(new CwmError('Cancelled', 'Enough.'));
      return { text: 'done', hasFailed: false };
    };
    expect(await codeOf(fixture.cwm.send({ session: 's', text: 'Go.' }, user.signal))).toBe('CWM-6003');
    expect(fixture.tools.called).toHaveLength(1);
    expect((await results()).map(({ outcome }) => outcome)).toEqual(['done', 'interrupted']);
    expect(await session()).toMatchObject({ phase: 'Idle' });
    expect((await ask()).text).toBe('fine');
  });
});

describe('a call that must come', () => {
  test('is asked of the first answer only; behind its result, the model decides', async () => {
    await sessionWith({ policy: 'auto-approve' });
    fixture.engine.toolCalls = [[call('read_file')]];
    await fixture.cwm.send({ session: 's', text: 'Go.', toolChoice: 'read_file' }, never());
    expect(fixture.engine.choices).toEqual(['read_file', undefined]);
  });

  test.each([
    ['fly_to_moon', 'There is no tool "fly_to_moon". There are: ask_user, book_room'],
    ['required', 'the model is offered none'],
  ])('%s is refused where it cannot be, and the session is as before', async (toolChoice, told) => {
    if (toolChoice === 'required') await fixture.cwm.createSession({ id: 's' });
    else await sessionWith({ policy: 'manual' });
    const sent = fixture.cwm.send({ session: 's', text: 'Go.', toolChoice }, never());
    await expect(sent).rejects.toThrow(told);
    expect(await session()).toMatchObject({ phase: 'Idle', draft: 'Go.' });
    expect(fixture.engine.offered).toEqual([]);
  });
});
