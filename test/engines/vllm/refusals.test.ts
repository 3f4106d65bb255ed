import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { HttpFault } from '../../fakes/fakeFaults.ts';
import { afterDescribe, ask, chat, completions, failure, makeRig, never } from './rig.ts';

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

  test('evidence of another form than expected is no evidence, and costs nothing else', async () => {
    for (const body of [
      '{"choices": [{"text": "x"}], "usage": {"prompt_tokens": "40"}}',
      '{"choices": [{"text": "x"}], "usage": null}',
      '{"choices": [{"text": "x"}], "usage": {"prompt_tokens": 40, "prompt_tokens_details": {"cached_tokens": -5}}}',
      '{"choices": [{"text": null, "token_ids": [-1], "logprobs": {"content": []}}]}',
      '{"choices": [{}]}',
    ]) {
      const rig = await afterDescribe(
        { kind: 'body', body, path: completions },
        { fake: { faults: { metrics: false } } },
      );
      const { reuse, canary } = await ask(rig);
      expect(reuse.cachedTokens, body).toBeNull();
      expect(canary).toBeNull();
    }
  });

  test('a malformed answer of a known server is CWM-5004, and its words are shown', async () => {
    const bodies = [
      ['{"choices": []}', '"choices"'],
      ['{"error": "out of memory"}', 'out of memory'],
      ['not json', 'not JSON: "not json"'],
    ] as const;
    for (const [body, part] of bodies) {
      const rig = await afterDescribe({ kind: 'body', body, path: completions });
      const error = await failure(ask(rig));
      expect(error).toMatchObject({ code: 'CWM-5004' });
      expect(error.message).toContain(part);
    }
  });

  test('a stream of nonsense is CWM-5004', async () => {
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
