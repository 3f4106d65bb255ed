import { endedEarly } from '../../src/gateway/formats/answerError.ts';
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { PassThrough, Readable } from 'node:stream';
import { describe, expect, test, vi } from 'vitest';
import { gatewayAddress } from '../../src/gateway/address.ts';
import { EventSplitter } from '../../src/gateway/formats/streams/eventSplitter.ts';
import { withoutIds } from '../../src/gateway/formats/chat/chatFormat.ts';
import { answerHeaders, upstreamHeaders } from '../../src/gateway/passing/headers.ts';
import { mostStallMs, relayBody, relayEvents, writeSoon } from '../../src/gateway/passing/relay.ts';
import { Places } from '../../src/gateway/passing/places.ts';
import { makeRoom } from '../../src/gateway/routes/room.ts';
import { passThrough } from '../../src/gateway/routes/passThrough.ts';
import { withFields } from '../../src/gateway/formats/spans.ts';
import { CwmError } from '../../src/protocol/errors.ts';
import { eventually } from '../support/eventually.ts';

describe('an address of the gateway', () => {
  test.each([
    ['/v1/models', { token: null, project: null, path: '/v1/models' }],
    ['/p/my%20app/v1/chat/completions', { token: null, project: 'my app', path: '/v1/chat/completions' }],
    ['/t/secret/p/a/v1/messages?beta=true', { token: 'secret', project: 'a', path: '/v1/messages?beta=true' }],
    ['/t/secret/', { token: 'secret', project: null, path: '/' }],
    ['/', { token: null, project: null, path: '/' }],
  ])('%s', (url, said) => expect(gatewayAddress(url)).toEqual(said));

  test.each(['/api/contexts', '/metrics', '/slots', '/v2/models', '/p/%/v1/models', '/lora-adapters', '/p//v1'])(
    'is not %s',
    (url) => expect(gatewayAddress(url)).toBeNull(),
  );
});

test('what is no chat takes the one place of a server, and the conversation in it is saved before', async () => {
  const done: string[] = [];
  const note = (what: string) => async () => void done.push(what);
  const target = { spec: 's', address: {}, description: { kind: 'llama-server' }, slots: 1 };
  const outside = {
    lineages: { isolation: 'project', of: async () => ({}) },
    saltOf: () => 'salt',
    giveWay: note('give way'),
    letPass: async () => ({ isNew: false, mayReuse: false }),
    holderOf: () => 'held',
    isUnsaved: () => false,
    saveHolder: note('save'),
    tookEngine: (_: string, by: unknown) => void done.push(`taken by ${String(by)}`),
    passing: () => () => void done.push('left'),
  };
  const send = async (_: unknown, { body }: { body: Buffer }) => {
    done.push(body.toString());
    return { statusCode: 200, headers: {}, body: Readable.from([]) };
  };
  const gateway = {
    outside,
    targets: { defaultSpec: 's', for: async () => target },
    places: new Places(),
    recorder: { storedOf: note('stored'), isPending: () => false },
    recogniser: { all: [], ofSession: () => null },
    upstream: { send },
  };
  const req = Object.assign(Readable.from([Buffer.from('{"prompt":"x"}')]), { method: 'POST', headers: {} });
  const res = { writeHead: () => undefined, end: () => undefined };
  const { signal } = new AbortController();
  await passThrough(gateway as never, { req, res, address: { path: '/v1/completions' }, signal } as never);
  const sent = '{"cache_prompt":false,"prompt":"x"}';
  expect(done).toEqual(['stored', 'save', 'give way', 'taken by null', sent, 'left']);
});

describe('room for a conversation that is cold', () => {
  const session = 's';
  /** @param ready what bringing the conversation's KV back comes to. */
  async function roomWith(ready: () => Promise<unknown>, signal = new AbortController().signal, held: object = {}) {
    const done: string[] = [];
    const failed: unknown[] = [];
    const outside = {
      giveWay: async () => undefined,
      letPass: async () => null,
      holderOf: () => null,
      saveHolder: async () => undefined,
      tookEngine: () => undefined,
      makeReady: ready,
      lookAhead: async () => undefined,
      passing: () => () => void done.push('left'),
      ...held,
    };
    const places = { take: async () => ({ leave: () => void done.push('free') }) };
    const recorder = {
      storedOf: async () => undefined,
      isPending: () => true,
      failed: (error: unknown) => void failed.push(error),
    };
    const gateway = { outside, places, recorder, recogniser: { all: [], ofSession: () => null } };
    const target = { spec: 'e', description: { kind: 'llama-server' }, slots: 1 };
    const turn = { kind: 'turn', known: 1, conversation: { session, mayBeCold: true } };
    const room = await makeRoom(gateway as never, target as never, turn as never, 'salt', signal).catch(
      (error: unknown) => error,
    );
    return { room: room as Awaited<ReturnType<typeof makeRoom>> & { name?: string }, done, failed };
  }

  test('is made before the rest of the checkpoint of the one that leaves', async () => {
    const order: string[] = [];
    const leavePlace = async (_: string, { stored }: { stored: () => Promise<void> }): Promise<boolean> => {
      void stored().then(() => order.push('rest of the checkpoint'));
      return true;
    };
    const ready = async (): Promise<unknown> => {
      await new Promise((resolve) => setImmediate(resolve));
      order.push('ready');
      return { isThere: true, why: null };
    };
    await roomWith(ready, undefined, { holderOf: () => 'other', leavePlace });
    await new Promise((resolve) => setImmediate(resolve));
    expect(order).toEqual(['ready', 'rest of the checkpoint']);
  });

  test('that cannot be brought back costs time, not the turn; the reason is told and logged', async () => {
    const { room, done, failed } = await roomWith(() => Promise.reject(new Error('the disk fails')));
    expect(room).toMatchObject({ isThere: true, whyCold: 'the disk fails' });
    expect(failed).toHaveLength(1);
    room.leave();
    expect(done).toEqual(['left', 'free']);
  });

  test('whose session is gone is said to be gone', async () => {
    const gone = new CwmError('WindowNotFound', 'There is no window "w".');
    expect((await roomWith(() => Promise.reject(gone))).room).toMatchObject({ isThere: false });
  });

  test('whose client leaves meanwhile gives the place back', async () => {
    const left = new CwmError('Cancelled', 'The client left.');
    const { room, done, failed } = await roomWith(() => Promise.reject(left));
    expect(room).toBe(left);
    expect([done, failed]).toEqual([['free'], []]);
  });
});

describe('a request on its way', () => {
  test('has fields more, and otherwise the bytes that the client wrote', () => {
    expect(withFields('{ "a":1.0, "b" : "\\u00e9" }', { salt: 'x' })).toBe('{"salt":"x", "a":1.0, "b" : "\\u00e9" }');
    expect(withFields('{ }', { salt: 'x' })).toBe('{"salt":"x" }');
    expect(withFields('{"a":1}', {})).toBe('{"a":1}');
  });

  test('has what nobody here knows, without the secrets of the way here', () => {
    const given = {
      host: 'localhost:1',
      authorization: 'Bearer mine',
      'x-api-key': 'mine',
      'x-cwm-project': 'p',
      'x-stainless-lang': 'js',
      // llama-server goes on with an answer under it when the client has left.
      'x-conversation-id': 'abc',
      'content-type': 'application/json',
      connection: 'keep-alive',
    };
    expect(upstreamHeaders(given, 'theirs')).toEqual({
      'x-stainless-lang': 'js',
      'content-type': 'application/json',
      authorization: 'Bearer theirs',
    });
  });

  test('comes back with the headers of the server', () => {
    expect(answerHeaders({ 'retry-after': '3', 'x-request-id': '7', 'transfer-encoding': 'chunked' })).toEqual({
      'retry-after': '3',
      'x-request-id': '7',
    });
  });
});

describe('token ids that only the gateway asked for', () => {
  test.each([
    ['{"a":1,"prompt_token_ids":[1, 2],"b":2}', '{"a":1,"b":2}'],
    ['{"prompt_token_ids":null,"b":2}', '{"b":2}'],
    ['{"choices":[{"index":0,"token_ids":[7]}]}', '{"choices":[{"index":0}]}'],
    ['{"token_ids":[7]}', '{}'],
  ])('%s', (given, left) => expect(withoutIds(given)).toBe(left));

  test('a text that looks like them stays', () => {
    const raw = `data: ${JSON.stringify({ content: 'x,"token_ids":[1], }' })}\n\n`;
    expect(withoutIds(raw)).toBe(raw);
  });
});

describe('a stream', () => {
  test('an event is searched once, however long it is', () => {
    const splitter = new EventSplitter();
    const exec = vi.spyOn(RegExp.prototype, 'exec');
    const piece = Buffer.alloc(64 << 10, 'x');
    for (let pieces = 0; pieces < 64; pieces++) splitter.push(piece);
    const searched = exec.mock.calls.reduce((sum, [text]) => sum + text.length, 0);
    exec.mockRestore();
    expect(searched).toBeLessThan(66 * piece.length);
    expect(splitter.push(Buffer.from('\n\n')).map(({ raw }) => raw.length)).toEqual([64 * piece.length + 2]);
  });

  test('waits for a client that reads slowly before it takes more of the server, and loses nothing', async () => {
    const written: string[] = [];
    const res = Object.assign(new EventEmitter(), {
      destroyed: false,
      write: (text: string) => {
        written.push(text);
        return false;
      },
    });
    const body = new PassThrough();
    const tap = { event: ({ raw }: { raw: string }) => raw, end: () => '' };
    const relayed = relayEvents(body, res as unknown as ServerResponse, tap, () => undefined);
    body.write('data: 1\n\n');
    await eventually(() => expect(body.isPaused()).toBe(true));
    body.end('data: 2\n\n');
    expect(written).toEqual(['data: 1\n\n']);
    res.emit('drain');
    await eventually(() => expect(written).toHaveLength(2));
    res.emit('drain');
    await relayed;
    expect(written.join('')).toBe('data: 1\n\ndata: 2\n\n');
  });

  test('that cannot be passed on ends with that error, and lets go of the server', async () => {
    const res = Object.assign(new EventEmitter(), { destroyed: false, write: () => true });
    const body = new PassThrough();
    const broken = new Error('the client is gone');
    const tap = {
      event: () => {
        throw broken;
      },
      end: () => '',
    };
    const relayed = relayEvents(body, res as unknown as ServerResponse, tap, () => undefined);
    body.write('data: 1\n\n');
    await expect(relayed).rejects.toBe(broken);
    expect(body.destroyed).toBe(true);
  });

  test('that ends in the middle of the answer is an error, not an end', async () => {
    const res = Object.assign(new EventEmitter(), { destroyed: false, write: () => true });
    const body = new PassThrough();
    const tap = { event: () => null, end: () => '' };
    const relayed = relayEvents(body, res as unknown as ServerResponse, tap, () => undefined);
    body.destroy();
    await expect(relayed).rejects.toMatchObject({ name: 'EngineUnavailable', message: endedEarly.message });
  });

  test('a client that reads slowly costs no listeners', async () => {
    const res = Object.assign(new EventEmitter(), {
      destroyed: false,
      write: () => void setImmediate(() => res.emit('drain')),
    });
    const body = Readable.from(Array.from({ length: 20 }, () => Buffer.from('data: {}\n\n')));
    await relayBody(body, res as unknown as ServerResponse);
    expect([res.listenerCount('close'), res.listenerCount('error')]).toEqual([0, 0]);
  });

  test('a client that takes nothing for five minutes has left, so that its answer does not hold the model server for ever', async () => {
    vi.useFakeTimers();
    const destroy = vi.fn(() => void res.emit('close'));
    const res: EventEmitter & { destroyed: boolean } = Object.assign(new EventEmitter(), {
      destroyed: false,
      write: () => false,
      destroy,
    });
    const relayed = relayBody(Readable.from([Buffer.from('data: {}\n\n')]), res as unknown as ServerResponse);
    await vi.advanceTimersByTimeAsync(mostStallMs - 1);
    expect(destroy).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(destroy).toHaveBeenCalledOnce();
    await relayed;
    vi.useRealTimers();
  });

  test('the same where nobody waits for what was written, whatever number of pieces comes meanwhile', async () => {
    vi.useFakeTimers();
    const destroy = vi.fn();
    const res = Object.assign(new EventEmitter(), {
      destroyed: false,
      writableNeedDrain: false,
      write: () => {
        res.writableNeedDrain = true;
        return false;
      },
      destroy,
    });
    const send = (): void => writeSoon(res as unknown as ServerResponse, 'data: {}\n\n');
    send();
    send();
    expect(res.listenerCount('drain')).toBe(1);
    res.writableNeedDrain = false;
    res.emit('drain');
    await vi.advanceTimersByTimeAsync(mostStallMs);
    expect(destroy).not.toHaveBeenCalled();
    send();
    await vi.advanceTimersByTimeAsync(mostStallMs);
    expect(destroy).toHaveBeenCalledOnce();
    vi.useRealTimers();
  });

  test('is cut into its events, wherever the pieces of it end', () => {
    const stream = 'data: {"a":"é"}\n\n: beat\n\nevent: x\ndata: 1\ndata: 2\n\ndata: [DONE]\r\n\r\nrest';
    const bytes = Buffer.from(stream);
    for (const size of [1, 2, 3, 7, 1000]) {
      const splitter = new EventSplitter();
      const events = [];
      for (let at = 0; at < bytes.length; at += size) events.push(...splitter.push(bytes.subarray(at, at + size)));
      expect(events.map(({ data }) => data)).toEqual(['{"a":"é"}', null, '1\n2', '[DONE]']);
      expect(events.map(({ raw }) => raw).join('') + splitter.end()?.raw).toBe(stream);
    }
  });
});
