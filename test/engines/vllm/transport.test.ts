import { describe, expect, test } from 'vitest';
import { CwmError } from '../../../src/protocol/errors.ts';
import { afterDescribe, ask, chat, completions, failure, makeRig, never, type Rig } from './rig.ts';

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
      return_tokens_as_token_ids: true,
    });
    expect(completion?.body).not.toHaveProperty('extra_body');
    expect(completion?.body).not.toHaveProperty('prompt_logprobs');
    expect(completion?.body).not.toHaveProperty('echo');
    expect(completion?.body).not.toHaveProperty('return_token_ids');
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

  test('a server of ours that died is started again, however many connections to it are lost before nobody listens', async () => {
    const connects: (string | undefined)[] = [];
    const rig: Rig = await makeRig({
      engine: {
        connect: async (_, refusedAt) => {
          connects.push(refusedAt);
          if (refusedAt !== undefined) await rig.fake.restart();
          // Its end takes as long as three lost connections.
          else if (connects.length === 4) await rig.fake.stop();
          return { url: rig.fake.url, managed: true };
        },
      },
    });
    rig.fake.faults.http = { kind: 'drop', times: 3, path: '/v1/models' };
    const { url } = rig.fake;
    expect((await rig.engine.describe(never)).kind).toBe('vllm');
    expect(connects).toEqual([undefined, undefined, undefined, undefined, url]);
    expect(rig.pauses).toEqual([]);
  });

  test('a server of ours that closes every connection is given up', async () => {
    const rig = await makeRig({ managed: true });
    rig.fake.faults.http = { kind: 'drop', path: '/v1/models' };
    expect(await failure(rig.engine.describe(never))).toMatchObject({ code: 'CWM-5001' });
    expect(rig.fake.requestsTo('/v1/models').length).toBeLessThanOrEqual(13);
  });

  test('a model server that connect cannot start is reported as connect says', async () => {
    const refusal = new CwmError('NotAModel', 'This is no GGUF file.');
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
    const rig = await makeRig();
    await ask(rig);
    const before = rig.fake.requestsTo(completions).length;
    rig.fake.faults.http = { kind: 'status', status: 500, message: 'NaN in the\nlogits', path: completions };
    const error = await failure(ask(rig));
    expect(error).toMatchObject({ code: 'CWM-5004', retryable: true });
    expect(error.message).toContain('HTTP 500: NaN in the logits');
    expect(rig.fake.requestsTo(completions)).toHaveLength(before + 3);
    expect(rig.pauses).toEqual([1000, 2000]);
  });

  test('a 503 that passes is not noticed', async () => {
    const rig = await afterDescribe({ kind: 'status', status: 503, times: 2, path: completions });
    expect((await ask(rig)).reuse.promptTokens).toBe(40);
  });

  test('S0-41 an answer whose caller does not try again is asked for again here, and any other only once', async () => {
    const request = { messages: [{ role: 'user', content: 'x' }], salt: 's', maxTokens: 1, temperature: 0 } as const;
    for (const callerRetries of [undefined, true] as const) {
      const rig = await afterDescribe({ kind: 'drop', times: 1, path: '/v1/chat/completions' }, { managed: true });
      const asked = { ...request, addGenerationPrompt: true, ...(callerRetries && { callerRetries }) };
      const answer = rig.engine.generate(asked, () => undefined, never);
      if (callerRetries) expect(await failure(answer)).toMatchObject({ context: { transient: true } });
      else expect((await answer).finishReason).toBeDefined();
    }
  });

  test('S0-41 a request that was answered with 4xx is never sent again as it was', async () => {
    for (const [status, code] of [
      [400, 'CWM-5007'],
      [422, 'CWM-5007'],
      [429, 'CWM-5004'],
    ] as const) {
      const rig = await afterDescribe({ kind: 'status', status, message: 'No.', path: completions });
      expect(await failure(ask(rig))).toMatchObject({ code });
      const sent = rig.fake.requestsTo(completions).map(({ body }) => JSON.stringify(body));
      expect(new Set(sent).size).toBe(sent.length);
      expect(rig.pauses).toEqual([]);
    }
  });

  test('a prompt that an earlier, failed try computed does not count as stored', async () => {
    const rig = await afterDescribe({ kind: 'status', status: 500, late: true, times: 1, path: completions });
    const { reuse } = await ask(rig);
    expect(reuse).toMatchObject({ cachedTokens: null, cachedTokensFrom: 'none', tier: null });
  });

  test('the connection ends before the answer: CWM-5001 at once, because the request may be at work', async () => {
    const rig = await afterDescribe({ kind: 'drop', path: completions });
    expect(await failure(ask(rig))).toMatchObject({ code: 'CWM-5001' });
    expect(rig.fake.requestsTo(completions)).toHaveLength(1);
  });

  test('an engine of our own that dies over a request is started again, and the request is tried again', async () => {
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
    for (const afterChunks of [1, 3, 6]) {
      const rig = await afterDescribe({ kind: 'cut', afterChunks });
      expect(await failure(chat(rig))).toMatchObject({ code: 'CWM-5101', retryable: true });
    }
  });

  test('a stream that ends early as if it were complete is CWM-5101 as well', async () => {
    for (const afterChunks of [0, 3, 6]) {
      const rig = await afterDescribe({ kind: 'stop', afterChunks });
      expect(await failure(chat(rig))).toMatchObject({ code: 'CWM-5101' });
    }
  });

  test('an answer that said why it ended is whole, whatever becomes of the rest; only its evidence is missing', async () => {
    for (const kind of ['cut', 'stop'] as const) {
      const rig = await afterDescribe({ kind, afterChunks: 7 });
      const { text, finishReason, reuse } = await chat(rig);
      expect(text).toHaveLength(6);
      expect(finishReason).toBe('length');
      expect(reuse.cachedTokens).toBeNull();
    }
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

  test('EC-041 prefill may take 15 minutes, then it is CWM-6001 and not tried again', async () => {
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
    const answer = failure(chat(rig, ({ text }) => text && hear()));
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

  test('an abort does not wait for an address that never comes', async () => {
    const rig = await makeRig({ engine: { connect: () => new Promise(() => undefined) } });
    const controller = new AbortController();
    const answers = [failure(rig.engine.describe(controller.signal)), failure(ask(rig, controller.signal))];
    controller.abort();
    for (const answer of answers) expect(await answer).toMatchObject({ code: 'CWM-6003' });
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
