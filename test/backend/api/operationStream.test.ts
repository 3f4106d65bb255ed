import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { OperationOutbox } from '../../../src/backend/api/operationOutbox.ts';
import { BackendClient } from '../../../src/client/backendClient.ts';
import { requestBackend } from '../../../src/client/transport.ts';
import type { Reporter } from '../../../src/core/ports/reporter.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import { readOperationEvent, type OperationEvent } from '../../../src/protocol/operationEvents.ts';
import type { RouteOutput } from '../../../src/protocol/api.ts';
import { sessionId, messageId } from '../../support/ids.ts';
import { socketProxy } from '../../support/socketProxy.ts';
import { until } from '../../support/until.ts';
import { backendsInProcess, type BackendUnderTest } from '../support/backendInProcess.ts';
import { untilAborted } from '../support/fakeDomain.ts';

const start = backendsInProcess();

const answered = (text: string): RouteOutput<'send'> => ({
  session: sessionId('s'),
  version: 3,
  text,
  messageId: messageId('m'),
  promptTokens: 1,
  outputIds: [1],
  cachedTokens: null,
  finishReason: 'stop',
  timeToFirstTokenMs: null,
  ms: 1,
  prefixBreak: null,
  notes: [],
});

const sendRequest = (headers: Record<string, string> = {}) =>
  ({
    method: 'POST',
    path: '/api/contexts/s/messages',
    body: '{"text":"Why?"}',
    headers: { accept: 'text/event-stream', ...headers },
  }) as const;

/** The events of a streamed `send`, as they cross the socket. */
async function eventsOf({ backend }: BackendUnderTest): Promise<OperationEvent[]> {
  const { body } = await requestBackend(backend.record, sendRequest(), { timeoutMs: 10_000 });
  return [...body.matchAll(/^data: (.*)$/gm)].map(
    ([, data]) => readOperationEvent(JSON.parse(data ?? '')) as OperationEvent,
  );
}

/** Lets what was reported reach the client before the next report. */
const aMoment = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('the stream of an operation', () => {
  it('S4-20 numbers its events from 0 without gaps; the pieces are the text, which the result does not repeat', async () => {
    const tested = await start();
    const pieces = ['Be', 'cause ', 'of 漢😀'];
    tested.fake.on('send', async (_, __, reporter: Reporter) => {
      reporter.progress('Asking the engine');
      await aMoment();
      for (const piece of pieces) {
        reporter.text(piece, 1);
        await aMoment();
      }
      return answered(pieces.join(''));
    });
    const events = await eventsOf(tested);
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index));
    expect(events.map(({ type }) => type).filter((type, at, all) => type !== all[at - 1])).toEqual([
      'progress',
      'text',
      'result',
    ]);
    expect(events.flatMap((event) => (event.type === 'text' ? [event.text] : [])).join('')).toBe(pieces.join(''));
    const last = events.at(-1);
    expect(last).toMatchObject({ type: 'result', result: { session: 's', outputIds: [1] } });
    expect(last).not.toHaveProperty('result.text');
  });

  it('S4-40 goes to the client that asked and to nobody else; its text crosses the socket once', async () => {
    const tested = await start();
    const proxy = await socketProxy(tested.backend.record.address);
    const { record } = tested.backend;
    const behindProxy = () => new BackendClient({ start: async () => record, find: async () => record });
    const [one, other] = [behindProxy(), behindProxy()];
    const heardByOther: string[] = [];
    other.onSignal(({ change }) => heardByOther.push(change.type));
    await until('the other client listens', () => heardByOther.includes('resync'));
    tested.fake.on('send', async (_, __, reporter: Reporter) => {
      for (const piece of ['An answer ', 'of one marker: ', 'xyzzy-plugh']) {
        reporter.text(piece, 1);
        await aMoment();
      }
      tested.emit({ type: 'session', session: sessionId('s'), version: 3 });
      return answered('An answer of one marker: xyzzy-plugh');
    });
    let heard = '';
    const result = await one.call('send', { session: 's', text: 'Why?' }, { onText: (piece) => (heard += piece) });
    expect(result.text).toBe('An answer of one marker: xyzzy-plugh');
    expect(heard).toBe(result.text);
    await until('the other client hears of the change', () => heardByOther.includes('session'));
    expect(proxy.crossed().match(/xyzzy-plugh/g)).toHaveLength(1);
    expect(heardByOther).toEqual(['resync', 'session']);
    one.dispose();
    other.dispose();
  });

  it('S0-82 the log names an operation as its client does, unless the name is none', async () => {
    const tested = await start();
    tested.fake.on('send', async () => answered('Yes.'));
    for (const name of ['my-operation-1', 'no "name"']) {
      await requestBackend(tested.backend.record, sendRequest({ 'x-cwm-operation': name }), { timeoutMs: 10_000 });
    }
    await tested.backend.stop('the log is wanted');
    const log = readFileSync(join(tested.storage, 'backend.log'), 'utf8');
    expect(log).toContain('my-operation-1');
    expect(log).not.toContain('no \\"name');
  });

  it('is not sent to a client that only wants the result', async () => {
    const tested = await start();
    tested.fake.on('send', async (_, __, reporter: Reporter) => {
      reporter.text('Yes.', 1);
      return answered('Yes.');
    });
    expect(await tested.client.call('send', { session: 's', text: 'Well?' })).toEqual(answered('Yes.'));
  });

  it('a failure before the first event has its own status; one after it is the last event', async () => {
    const tested = await start();
    let reports = false;
    tested.fake.on('send', async (_, __, reporter: Reporter) => {
      if (reports) reporter.text('Be', 1);
      await aMoment();
      throw new CwmError('EngineFailed', 'The engine broke.');
    });
    const early = await requestBackend(tested.backend.record, sendRequest(), { timeoutMs: 10_000 });
    expect(early.status).toBe(502);
    reports = true;
    expect(await eventsOf(tested)).toMatchObject([
      { type: 'text', sequence: 0, text: 'Be' },
      { type: 'error', sequence: 1, error: { message: 'The engine broke.' } },
    ]);
    const call = tested.client.call('send', { session: 's', text: 'Why?' }, { onText: () => undefined });
    await expect(call).rejects.toMatchObject({ name: 'EngineFailed', message: 'The engine broke.' });
  });

  it('a client that leaves aborts its operation', async () => {
    const tested = await start();
    tested.fake.on('send', async (_, signal, reporter: Reporter) => {
      reporter.text('Be', 1);
      return await untilAborted(signal);
    });
    const leave = new AbortController();
    const onText = (): void => leave.abort();
    const call = tested.client.call('send', { session: 's', text: 'Why?' }, { signal: leave.signal, onText });
    await expect(call).rejects.toMatchObject({ name: 'Cancelled' });
    await until('the domain hears of it', () => tested.fake.calls[0]?.signal.aborted);
  });

  it('a client that does not read delays neither its own operation nor another one', async () => {
    const tested = await start();
    const piece = 'x'.repeat(4096);
    const done: string[] = [];
    tested.fake.on('send', async (input: { session: string }, __, reporter: Reporter) => {
      for (let count = 0; count < 2000; count++) {
        reporter.text(piece, 1);
        if (count % 50 === 0) await aMoment();
      }
      done.push(input.session);
      return answered('');
    });
    const socket = connect(tested.backend.record.address);
    const { path, body, headers } = sendRequest();
    const head = [
      `POST ${path} HTTP/1.1`,
      'host: x',
      `authorization: Bearer ${tested.backend.record.token}`,
      `accept: ${headers.accept}`,
      `content-length: ${body.length}`,
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
    socket.pause();
    await until('the operation of the client that does not read has ended', () => done.length === 1);
    const text = tested.client.call('send', { session: 'b', text: 'Why?' }, { onText: () => undefined });
    await expect(text).resolves.toMatchObject({ messageId: 'm' });
    expect(done).toEqual(['s', 'b']);
    socket.destroy();
  });

  it('keeps the backend from being idle until the client has the result', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const tested = await start({ idleMs: 1000 });
    const finish = Promise.withResolvers<void>();
    tested.fake.on('send', async (_, __, reporter: Reporter) => {
      reporter.text('Be', 1);
      await finish.promise;
      return answered('Be');
    });
    const onText = (): void => {
      vi.advanceTimersByTime(10_000);
      finish.resolve();
    };
    const call = tested.client.call('send', { session: 's', text: 'Why?' }, { onText });
    await expect(call).resolves.toMatchObject({ text: 'Be' });
    await expect(tested.client.call('health', {})).resolves.toMatchObject({ status: 'healthy' });
    expect(tested.closed()).toBe(0);
  });

  it('a change returns after its signals were delivered to a client that listens', async () => {
    const tested = await start();
    const heard: string[] = [];
    tested.client.onSignal(({ change }) => heard.push(change.type));
    await tested.client.call('health', {});
    await until('the stream is open', () => heard.includes('resync'));
    for (let round = 0; round < 20; round++) {
      heard.length = 0;
      tested.fake.on('pinWindow', () => {
        for (let count = 0; count < 5; count++) tested.emit({ type: 'engine', spec: 'e' });
        return { window: 'w', pinned: true };
      });
      await tested.client.call('pinWindow', { window: 'w', pinned: true });
      expect(heard).toHaveLength(5);
    }
  });
});

describe('what a client has not taken yet', () => {
  it('is one step and the text since then', async () => {
    const outbox = new OperationOutbox();
    for (const step of ['one', 'two']) outbox.progress(step);
    outbox.begun(messageId('m'));
    for (const [at, piece] of ['Be', 'cause'].entries()) outbox.text(piece, at + 1);
    expect(outbox.take()).toEqual([
      { type: 'progress', step: 'two' },
      { type: 'answer', message: 'm' },
      { type: 'text', text: 'Because', chunk: 2 },
    ]);
    outbox.text('!', 1);
    outbox.close();
    expect(await outbox.hasMore()).toBe(true);
    expect(outbox.take()).toEqual([{ type: 'text', text: '!', chunk: 1 }]);
    expect(await outbox.hasMore()).toBe(false);
    expect(outbox.hasGiven('Because!')).toBe(true);
  });

  it('never grows past its limit: then the result brings the whole text', () => {
    const outbox = new OperationOutbox(10);
    outbox.text('012345678', 1);
    expect(outbox.take()).toEqual([{ type: 'text', text: '012345678', chunk: 1 }]);
    for (let count = 0; count < 5; count++) outbox.text('abc', 1);
    expect(outbox.take()).toEqual([]);
    outbox.text('def', 1);
    expect(outbox.take()).toEqual([]);
    expect(outbox.hasGiven('012345678abcabcabcabcabcdef')).toBe(false);
  });
});
