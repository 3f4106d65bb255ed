import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { CwmError } from '../../src/protocol/errors.ts';
import type { HttpFault } from '../fakes/fakeFaults.ts';
import { contextOf, makeRig, never, someIds, type Rig, type RigOptions } from './rig.ts';

const completions = '/v1/completions';
const ask = ({ engine }: Rig, signal = never) => engine.measure(contextOf(someIds(40)), signal);
const chat = ({ engine }: Rig, onDelta: (text: string) => void = () => undefined, signal = never) =>
  engine.generate(
    {
      messages: [{ role: 'user', content: 'Hello' }],
      salt: 's',
      maxTokens: 6,
      temperature: 0,
      addGenerationPrompt: true,
    },
    onDelta,
    signal,
  );

async function failure(promise: Promise<unknown>): Promise<CwmError> {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (error: unknown) => error,
  );
  if (error instanceof CwmError) return error;
  throw error;
}

/** A rig whose server is known already, and then does this to what follows. */
async function afterDescribe(http: HttpFault, options: RigOptions = {}): Promise<Rig> {
  const rig = await makeRig(options);
  await rig.engine.describe(never);
  rig.fake.faults.http = http;
  return rig;
}

describe('what is sent', () => {
  test('S0-42 the salt stands at the top level of the body, and nothing makes vLLM skip its cache', async () => {
    const rig = await makeRig();
    await ask(rig);
    await chat(rig);
    const [completion] = rig.fake.requestsTo(completions);
    expect(completion?.body).toMatchObject({
      cache_salt: 'salt-1',
      max_tokens: 1,
      temperature: 0,
      logprobs: 5,
      return_token_ids: true,
    });
    expect(completion?.body).not.toHaveProperty('extra_body');
    expect(completion?.body).not.toHaveProperty('prompt_logprobs');
    expect(completion?.body).not.toHaveProperty('echo');
    expect(rig.fake.requestsTo('/v1/chat')[0]?.body).toMatchObject({
      cache_salt: 's',
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  test('S0-43 requests one after another share one connection', async () => {
    const rig = await makeRig();
    await ask(rig);
    const opened = rig.fake.connectionCount;
    for (const _ of [1, 2, 3, 4]) {
      await ask(rig);
      await chat(rig);
    }
    expect(rig.fake.connectionCount).toBe(opened);
  });

  test('S0-40 many calls at once open no more than ten connections', async () => {
    const rig = await makeRig();
    const asks = Array.from({ length: 40 }, () => rig.engine.tokenize([{ role: 'user', content: 'x' }], false, never));
    await Promise.all(asks);
    expect(rig.fake.connectionCount).toBeLessThanOrEqual(10);
  });

  test('a URL that ends in /v1 means the same server', async () => {
    const rig = await makeRig();
    const other = await makeRig({ engine: { connect: async () => ({ url: `${rig.fake.url}/v1/` }) } });
    expect((await other.engine.describe(never)).kind).toBe('vllm');
  });

  test('what is no http URL is refused with CWM-1003', async () => {
    for (const url of ['ftp://host/x', 'localhost:8000', '']) {
      const rig = await makeRig({ engine: { connect: async () => ({ url }) } });
      expect(await failure(rig.engine.describe(never))).toMatchObject({ code: 'CWM-1003' });
    }
  });
});

describe('a server that is not there', () => {
  test('S0-41 nobody listens: three tries, one second and two apart, then CWM-5001', async () => {
    const rig = await makeRig();
    await rig.fake.stop();
    const error = await failure(rig.engine.describe(never));
    expect(error).toMatchObject({ code: 'CWM-5001', retryable: true });
    expect(error.message).toContain(rig.fake.url);
    expect(rig.pauses).toEqual([1000, 2000]);
  });

  test('after each refused try the address is asked for again, so that a server which comes back elsewhere is found', async () => {
    const rig = await makeRig({ onPause: (rig) => rig.fake.restart() });
    await rig.fake.stop();
    expect((await rig.engine.describe(never)).kind).toBe('vllm');
    expect(rig.connects.count).toBe(2);
  });

  test('a model server that connect can not start is reported as connect says', async () => {
    const refusal = new CwmError('CWM-1201', 'This is no GGUF file.');
    const rig = await makeRig({ engine: { connect: () => Promise.reject(refusal) } });
    expect(await failure(ask(rig))).toBe(refusal);
  });

  test('a host name that does not exist is CWM-5001 at once', async () => {
    const rig = await makeRig({ engine: { connect: async () => ({ url: 'http://nothing.invalid:1' }) } });
    expect(await failure(rig.engine.describe(never))).toMatchObject({ code: 'CWM-5001' });
    expect(rig.pauses).toEqual([]);
  });

  test('https where plain http is spoken names TLS and what to do', async () => {
    const rig = await makeRig();
    const url = rig.fake.url.replace('http:', 'https:');
    const other = await makeRig({ engine: { connect: async () => ({ url }) } });
    const error = await failure(other.engine.describe(never));
    expect(error).toMatchObject({ code: 'CWM-5001' });
    expect(error.message).toContain('does not speak TLS');
    expect(other.pauses).toEqual([]);
  });
});

describe('a server that fails', () => {
  test('S0-41 500 is tried three times, then CWM-5004 with the server’s own reason', async () => {
    const rig = await afterDescribe({ kind: 'status', status: 500, message: 'NaN in the\nlogits', path: completions });
    const error = await failure(ask(rig));
    expect(error).toMatchObject({ code: 'CWM-5004', retryable: true });
    expect(error.message).toContain('HTTP 500: NaN in the logits');
    expect(rig.fake.requestsTo(completions)).toHaveLength(3);
    expect(rig.pauses).toEqual([1000, 2000]);
  });

  test('a 503 that passes is not noticed', async () => {
    const rig = await afterDescribe({ kind: 'status', status: 503, times: 2, path: completions });
    expect((await ask(rig)).reuse.promptTokens).toBe(40);
  });

  test('S0-41 4xx is never tried again', async () => {
    for (const [status, code] of [
      [400, 'CWM-5007'],
      [422, 'CWM-5007'],
      [429, 'CWM-5004'],
    ] as const) {
      const rig = await afterDescribe({ kind: 'status', status, message: 'No.', path: completions });
      expect(await failure(ask(rig))).toMatchObject({ code });
      expect(rig.fake.requestsTo(completions)).toHaveLength(1);
      expect(rig.pauses).toEqual([]);
    }
  });

  test('a prompt that an earlier, failed try computed is not taken for one that was kept', async () => {
    const rig = await afterDescribe({ kind: 'status', status: 500, late: true, times: 1, path: completions });
    const { reuse } = await ask(rig);
    expect(reuse).toMatchObject({ cachedTokens: null, cachedTokensFrom: 'none', tier: null });
  });

  test('the connection ends before the answer: CWM-5001 at once, because the request may be at work', async () => {
    const rig = await afterDescribe({ kind: 'drop', path: completions });
    expect(await failure(ask(rig))).toMatchObject({ code: 'CWM-5001' });
    expect(rig.fake.requestsTo(completions)).toHaveLength(1);
  });

  test('an engine of our own that dies over a request is asked for anew, and the request is tried again', async () => {
    const rig = await afterDescribe({ kind: 'drop', times: 1, path: completions }, { managed: true });
    const connects = rig.connects.count;
    expect((await ask(rig)).reuse.cachedTokens).toBe(0);
    expect(rig.connects.count).toBe(connects + 2);
  });

  test('an engine of our own that dies over a request after computing it proves nothing by the second try', async () => {
    const rig = await afterDescribe({ kind: 'drop', late: true, times: 1, path: completions }, { managed: true });
    expect((await ask(rig)).reuse.cachedTokens).toBeNull();
  });
});

describe('a server that breaks off', () => {
  test('a stream that is cut is CWM-5101, whatever had arrived', async () => {
    for (const afterChunks of [1, 3, 7]) {
      const rig = await afterDescribe({ kind: 'cut', afterChunks });
      expect(await failure(chat(rig))).toMatchObject({ code: 'CWM-5101', retryable: true });
    }
  });

  test('a stream that ends early as if it were complete is CWM-5101 as well', async () => {
    for (const afterChunks of [0, 3, 8]) {
      const rig = await afterDescribe({ kind: 'stop', afterChunks });
      expect(await failure(chat(rig))).toMatchObject({ code: 'CWM-5101' });
    }
  });

  test('a stream that is complete but never says why the answer ends is CWM-5101', async () => {
    const body = 'data: {"choices": [{"delta": {"content": "x"}}]}\n\ndata: [DONE]\n\n';
    const rig = await afterDescribe({ kind: 'body', body, type: 'text/event-stream', path: '/v1/chat' });
    expect(await failure(chat(rig))).toMatchObject({ code: 'CWM-5101' });
  });

  test('any other answer that is cut is CWM-5101', async () => {
    const rig = await afterDescribe({ kind: 'cut', afterChunks: 1, path: completions });
    expect(await failure(ask(rig))).toMatchObject({ code: 'CWM-5101' });
  });

  test('a failure inside a stream is the server’s failure, not a cut', async () => {
    const body =
      'data: {"error": {"message": "EngineCore died", "type": "InternalServerError", "code": 500}}\n\ndata: [DONE]\n\n';
    const rig = await afterDescribe({ kind: 'body', body, type: 'text/event-stream' });
    const error = await failure(chat(rig));
    expect(error).toMatchObject({ code: 'CWM-5004' });
    expect(error.message).toContain('EngineCore died');
  });
});

describe('a server that never answers', () => {
  /** Whether it settled by now, give or take what is already on its way. */
  async function isPending(promise: Promise<unknown>): Promise<boolean> {
    let settled = false;
    const settle = (): void => void (settled = true);
    promise.then(settle, settle);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    return !settled;
  }

  test('prefill may take 15 minutes, then it is CWM-6001 and not tried again', async () => {
    const rig = await afterDescribe({ kind: 'silence', afterChunks: 0, path: completions });
    const answer = failure(ask(rig));
    await rig.fake.untilRequests(completions, 1);
    rig.timer.advance(15 * 60_000 - 1);
    expect(await isPending(answer)).toBe(true);
    rig.timer.advance(1);
    expect(await answer).toMatchObject({ code: 'CWM-6001', retryable: true });
    expect(rig.fake.requestsTo(completions)).toHaveLength(1);
  });

  test('a stream whose head came at once may still take 15 minutes to its first token', async () => {
    const rig = await afterDescribe({ kind: 'silence', afterChunks: 1 });
    const answer = failure(chat(rig));
    await rig.fake.untilRequests('/v1/chat', 1);
    expect(await isPending(answer)).toBe(true);
    rig.timer.advance(14 * 60_000);
    expect(await isPending(answer)).toBe(true);
    rig.timer.advance(2 * 60_000);
    expect(await answer).toMatchObject({ code: 'CWM-6001' });
  });

  test('once tokens come, two minutes of silence are too long', async () => {
    const rig = await afterDescribe({ kind: 'silence', afterChunks: 2 });
    let hear: () => void = () => undefined;
    const heard = new Promise<void>((resolve) => (hear = resolve));
    const answer = failure(chat(rig, () => hear()));
    await heard;
    expect(await isPending(answer)).toBe(true);
    rig.timer.advance(2 * 60_000 - 1);
    expect(await isPending(answer)).toBe(true);
    rig.timer.advance(1);
    expect(await answer).toMatchObject({ code: 'CWM-6001' });
  });

  test('a question that computes nothing is given ten seconds', async () => {
    const rig = await makeRig({ fake: { faults: { http: { kind: 'silence', afterChunks: 1, path: '/v1/models' } } } });
    const answer = failure(rig.engine.describe(never));
    await rig.fake.untilRequests('/v1/models', 1);
    rig.timer.advance(10_000);
    expect(await answer).toMatchObject({ code: 'CWM-6001' });
  });

  test('S0-43 an abort ends a request that hangs, and the server sees it go', async () => {
    const rig = await afterDescribe({ kind: 'silence', afterChunks: 0, path: completions });
    const controller = new AbortController();
    const answer = failure(ask(rig, controller.signal));
    await rig.fake.untilRequests(completions, 1);
    const open = rig.fake.openConnections;
    controller.abort();
    expect(await answer).toMatchObject({ code: 'CWM-6003' });
    await expect.poll(() => rig.fake.openConnections).toBeLessThan(open);
  });

  test('an abort between two tries ends the waiting', async () => {
    const controller = new AbortController();
    const rig = await makeRig({
      onPause: () => Promise.reject(new Error('aborted')).finally(() => controller.abort()),
    });
    await rig.fake.stop();
    expect(await failure(rig.engine.describe(controller.signal))).toMatchObject({ code: 'CWM-6003' });
  });

  test('S0-43 close ends what is in flight and every connection', async () => {
    const rig = await afterDescribe({ kind: 'silence', afterChunks: 0, path: completions });
    const answer = failure(ask(rig));
    await rig.fake.untilRequests(completions, 1);
    await rig.engine.close();
    expect(await answer).toMatchObject({ code: 'CWM-6003' });
    await expect.poll(() => rig.fake.openConnections).toBe(0);
    expect(await failure(rig.engine.describe(never))).toMatchObject({ code: 'CWM-6003' });
    await rig.engine.close();
  });
});

describe('something that is no model server, or not the right one', () => {
  test('a web page, an empty answer, another JSON and a huge body at /v1/models are CWM-5005', async () => {
    const faults: HttpFault[] = [
      { kind: 'body', body: '<html>Router login</html>', type: 'text/html' },
      { kind: 'body', body: '' },
      { kind: 'body', body: '{"data": [{"name": "x"}]}' },
      { kind: 'body', body: '[1, 2' },
      { kind: 'huge' },
      { kind: 'status', status: 404, message: 'Not Found' },
      { kind: 'status', status: 405 },
    ];
    for (const http of faults) {
      const rig = await makeRig({ fake: { faults: { http: { path: '/v1/models', ...http } } } });
      expect(await failure(rig.engine.describe(never)), JSON.stringify(http)).toMatchObject({ code: 'CWM-5005' });
    }
  });

  test('what does not speak HTTP at all is CWM-5005', async () => {
    const server = createServer((socket) => socket.resume().end('220 mail.example ESMTP\r\n'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const rig = await makeRig({ engine: { connect: async () => ({ url: `http://127.0.0.1:${port}` }) } });
    expect(await failure(rig.engine.describe(never))).toMatchObject({ code: 'CWM-5005' });
    await rig.engine.close();
    await new Promise((resolve) => server.close(resolve));
  });

  test('a malformed answer of a known server is CWM-5004 and names the field', async () => {
    const bodies = [
      ['{"choices": [{"text": "x"}], "usage": {"prompt_tokens": "40"}}', '"usage.prompt_tokens"'],
      ['{"choices": []}', '"choices"'],
      ['{"choices": [{"text": "x", "token_ids": [-1]}]}', '"choices.0.token_ids"'],
      ['not json', 'not JSON'],
    ] as const;
    for (const [body, part] of bodies) {
      const rig = await afterDescribe({ kind: 'body', body, path: completions });
      const error = await failure(ask(rig));
      expect(error).toMatchObject({ code: 'CWM-5004' });
      expect(error.message).toContain(part);
    }
  });

  test('a stream of nonsense, or of the wrong content type, is CWM-5004', async () => {
    for (const [body, type] of [
      ['data: {"choices": 3}\n\n', 'text/event-stream'],
      ['data: oops\n\n', 'text/event-stream'],
      ['{}', 'application/json'],
      ['<html>', 'text/html'],
    ] as const) {
      const rig = await afterDescribe({ kind: 'body', body, type, path: '/v1/chat' });
      expect(await failure(chat(rig)), body).toMatchObject({ code: 'CWM-5004' });
    }
  });

  test('an event that never ends is given up, not collected', async () => {
    const body = `data: ${'x'.repeat(17 * 1024 * 1024)}`;
    const rig = await afterDescribe({ kind: 'body', body, type: 'text/event-stream', path: '/v1/chat' });
    expect(await failure(chat(rig))).toMatchObject({ code: 'CWM-5004' });
  });

  test('a redirect is refused, named, and its target gets no key', async () => {
    const target = await makeRig();
    const location = `${target.fake.url}/v1/models`;
    const rig = await makeRig({
      fake: { faults: { http: { kind: 'redirect', location } } },
      engine: { apiKey: 'secret' },
    });
    const error = await failure(rig.engine.describe(never));
    expect(error).toMatchObject({ code: 'CWM-5005' });
    expect(error.message).toContain(location);
    expect(error.hint).toContain('final URL');
    expect(target.fake.requests).toEqual([]);
  });

  test('an API key that is missing and one that is wrong are told apart, and neither is shown', async () => {
    const missing = await makeRig({ fake: { faults: { apiKey: 'right' } } });
    const wrong = await makeRig({ fake: { faults: { apiKey: 'right' } }, engine: { apiKey: 'wrong-key' } });
    const right = await makeRig({ fake: { faults: { apiKey: 'right' } }, engine: { apiKey: 'right' } });
    const [first, second] = [
      await failure(missing.engine.describe(never)),
      await failure(wrong.engine.describe(never)),
    ];
    expect(first).toMatchObject({ code: 'CWM-5006' });
    expect(first.message).toContain('none is set');
    expect(second).toMatchObject({ code: 'CWM-5006' });
    expect(second.message).toContain('does not accept');
    expect(JSON.stringify(second.report())).not.toContain('wrong-key');
    expect((await right.engine.describe(never)).kind).toBe('vllm');
  });

  test('the token of the address wins over the API key of the settings', async () => {
    const rig = await makeRig({ fake: { faults: { apiKey: 'of-the-address' } } });
    const connect = async () => ({ url: rig.fake.url, token: 'of-the-address' });
    const other = await makeRig({ engine: { apiKey: 'of-the-settings', connect } });
    expect((await other.engine.describe(never)).kind).toBe('vllm');
  });

  test('a model that vanished is CWM-5003, also when another is served now', async () => {
    const rig = await makeRig();
    await rig.engine.describe(never);
    rig.fake.faults.model = 'another';
    expect(await failure(ask(rig))).toMatchObject({ code: 'CWM-5003' });
    const named = await makeRig({ engine: { model: 'wanted' } });
    const error = await failure(named.engine.describe(never));
    expect(error).toMatchObject({ code: 'CWM-5003' });
    expect(error.message).toContain('"fake-model"');
  });

  test('a context that is longer than the model takes is CWM-7011 before anything is sent', async () => {
    const rig = await makeRig({ fake: { faults: { maxModelLen: 40 } } });
    expect(await failure(ask(rig))).toMatchObject({ code: 'CWM-7011', context: { tokens: 40, maxModelLen: 40 } });
    expect(rig.fake.requestsTo(completions)).toEqual([]);
    // The template adds 18 tokens: one has 41 then, one exactly as many as there is room for.
    for (const length of [23, 22]) {
      const messages = [{ role: 'user', content: 'x'.repeat(length) }] as const;
      const request = { messages, salt: 's', maxTokens: 1, temperature: 0, addGenerationPrompt: true };
      expect(await failure(rig.engine.generate(request, () => undefined, never))).toMatchObject({ code: 'CWM-7011' });
    }
  });
});
