import { describe, expect, test } from 'vitest';
import { CwmError } from '../../../src/protocol/errors.ts';
import { codeOf, coreFixture, never } from '../coreFixture.ts';
import { diskFiles } from '../../../src/store/disk/files.ts';

const busy = (retryAfterMs?: number): CwmError =>
  new CwmError('EngineFailed', 'The model server is too busy (HTTP 429).', {
    context: { transient: true, ...(retryAfterMs !== undefined && { retryAfterMs }) },
  });

/** A core whose engine fails so often before it answers, and what it waited. */
async function failing(failures: readonly CwmError[], onWait = (): void => undefined) {
  const waits: number[] = [];
  const sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
    waits.push(ms);
    onWait();
    signal.throwIfAborted();
  };
  const fixture = await coreFixture({}, diskFiles, (own) => ({ ...own, sleep }));
  const left = [...failures];
  fixture.engine.onCall = async (call) => {
    if (call !== 'generate') return;
    const failure = left.shift();
    if (failure) throw failure;
  };
  await fixture.cwm.createSession({ id: 's' });
  fixture.heard.length = 0;
  const phases = (): (string | undefined)[] =>
    fixture.heard.flatMap((change) => (change.type === 'session' ? [change.phase] : []));
  return { ...fixture, waits, phases };
}

describe('S4-12 a failure that will soon be over', () => {
  test('is waited for as long as the server says, or longer each time, and the answer comes', async () => {
    const { cwm, waits, phases } = await failing([busy(2500), busy(), new CwmError('StreamCut', 'It was cut.')]);
    const steps: string[] = [];
    const { text } = await cwm.send({ session: 's', text: 'Hi' }, never(), {
      progress: (step) => void steps.push(step),
      begun: () => undefined,
      text: () => undefined,
      reasoning: () => undefined,
      tool: () => undefined,
    });
    expect(text).toBe('fine');
    expect(waits[0]).toBe(2500);
    expect(waits[1]).toBeGreaterThanOrEqual(2000);
    expect(waits[2]).toBeGreaterThanOrEqual(4000);
    expect(steps[0]).toContain('Trying again in 3 s');
    const again = ['TransientFailure', 'AwaitingLLMResponse'];
    expect(phases()).toEqual([
      'ProcessingUserMessage',
      'AwaitingLLMResponse',
      ...again,
      ...again,
      ...again,
      'StreamingLLMResponse',
      'ProcessingLLMResponse',
      'Idle',
    ]);
  });

  test('and is not, after three more tries, leaves the session failed, with the draft; the next message continues', async () => {
    const { cwm, waits, phases } = await failing([busy(), busy(), busy(), busy()]);
    expect(await codeOf(cwm.send({ session: 's', text: 'Hi' }, never()))).toBe('CWM-5004');
    expect(waits).toHaveLength(3);
    expect(phases().at(-1)).toBe('PermanentFailure');
    expect(await cwm.getSession({ session: 's' })).toMatchObject({ phase: 'PermanentFailure', draft: 'Hi' });
    expect((await cwm.send({ session: 's', text: 'Hi' }, never())).text).toBe('fine');
    expect(await cwm.getSession({ session: 's' })).toMatchObject({ phase: 'Idle', draft: null });
  });

  test('a cancel dismisses a session that failed', async () => {
    const { cwm } = await failing([busy(120_000)]);
    expect(await codeOf(cwm.send({ session: 's', text: 'Hi' }, never()))).toBe('CWM-5004');
    expect(await cwm.cancelTurn({ session: 's' }, never())).toMatchObject({ phase: 'Idle', draft: 'Hi' });
  });

  test('a server that wants to be left alone for longer than a minute is not waited for', async () => {
    const { cwm, waits } = await failing([busy(61_000)]);
    expect(await codeOf(cwm.send({ session: 's', text: 'Hi' }, never()))).toBe('CWM-5004');
    expect(waits).toEqual([]);
  });

  test('a wait can be cancelled', async () => {
    const user = new AbortController();
    const stop = (): void => user.abort(new CwmError('Cancelled', 'Enough.'));
    const { cwm } = await failing([busy(5000)], stop);
    expect(await codeOf(cwm.send({ session: 's', text: 'Hi' }, user.signal))).toBe('CWM-6003');
    expect(await cwm.getSession({ session: 's' })).toMatchObject({ phase: 'Idle', draft: 'Hi' });
  });

  test('any other failure is not tried again', async () => {
    const { cwm, waits } = await failing([new CwmError('EngineRejected', 'No.')]);
    expect(await codeOf(cwm.send({ session: 's', text: 'Hi' }, never()))).toBe('CWM-5007');
    expect(waits).toEqual([]);
    expect(await cwm.getSession({ session: 's' })).toMatchObject({ phase: 'Idle' });
  });
});
