import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { BackendClient } from '../../src/client/backendClient.ts';
import { CwmError } from '../../src/protocol/errors.ts';
import type { FakeFaults } from '../fakes/fakeFaults.ts';
import { FakeVllm } from '../fakes/fakeVllm.ts';
import { selfSigned } from '../fakes/selfSigned.ts';
import { wholeBackends } from '../security/support/wholeBackend.ts';

const start = wholeBackends();
const words = 'The words that must not be lost.';
const toModel = ['/v1/completions', '/v1/chat/completions'];

interface Conversation {
  readonly fake: FakeVllm;
  readonly client: BackendClient;
}

/** Session `s` goes on, session `f` is frozen as window `w`. */
async function conversation(faults: Partial<FakeFaults> = {}, engineKey?: string): Promise<Conversation> {
  const fake = await FakeVllm.start({ faults });
  onTestFinished(() => fake.stop());
  const { client } = await start({ engine: fake.url, ...(engineKey === undefined ? {} : { engineKey }) });
  for (const id of ['s', 'f']) {
    await client.call('createSession', { id });
    await client.call('send', { session: id, text: `Hello from ${id}. `.repeat(8), maxTokens: 4 });
  }
  await client.call('freeze', { session: 'f', window: 'w' });
  return { fake, client };
}

/** Everything that an operation which failed must leave alone. */
async function everything({ client }: Conversation) {
  const sessions = (await client.call('listSessions', {})).items
    .map(({ version: _version, updatedAt: _at, draft: _draft, ...rest }) => rest)
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  // A thaw that found no engine is noted as the last one.
  const windows = (await client.call('listWindows', {})).items.map(({ lastThaw: _lastThaw, ...rest }) => rest);
  const messages = await client.call('listMessages', { session: 's' });
  return { sessions, windows, messages };
}

async function refusal(call: Promise<unknown>): Promise<CwmError> {
  const error = await call.then(
    (result) => new Error(`it was not refused: ${JSON.stringify(result)}`),
    (error: unknown) => error,
  );
  if (error instanceof CwmError) return error;
  throw error;
}

interface Expected {
  readonly code: string;
  readonly message: RegExp;
  /** The next step. */
  readonly hint: RegExp;
}

/** Every operation that needs the engine fails over it, says the same, and loses nothing; afterwards all goes on as before. */
async function failsEverywhere(talk: Conversation, engine: string | undefined, expected: Expected): Promise<void> {
  const { client } = talk;
  const before = await everything(talk);
  const on = engine === undefined ? {} : { engine };

  const sent = await refusal(client.call('send', { session: 's', text: words, ...on }));
  const frozen = await refusal(client.call('freeze', { session: 's', window: 'x', ...on }));
  for (const error of [sent, frozen]) {
    expect(error.code).toBe(expected.code);
    expect(error.message).toMatch(expected.message);
    expect(error.hint).toMatch(expected.hint);
  }
  expect((await client.call('getSession', { session: 's' })).draft).toBe(words);
  expect(await everything(talk)).toEqual(before);

  const { findings, capabilities } = await client.call('doctor', on);
  const found = findings.find(({ name }) => name === 'engine');
  expect(found).toMatchObject({ state: 'failed', remedy: expect.stringMatching(expected.hint) });
  expect(found?.detail).toContain(expected.code);
  expect(capabilities).toBeNull();

  const receipt = await client.call('thaw', { window: 'w', session: 't', ...on });
  expect(receipt.verdict).toBe('text-only');
  expect(receipt.notes.join(' ')).toMatch(expected.message);
  expect(receipt.notes.join(' ')).toMatch(new RegExp(expected.hint.source.replace('^', '')));
  await client.call('deleteSession', { session: 't' });
  expect(await everything(talk)).toEqual(before);
}

async function goesOn({ client }: Conversation): Promise<void> {
  expect((await client.call('send', { session: 's', text: words, maxTokens: 4 })).text).not.toBe('');
  expect((await client.call('thaw', { window: 'w', session: 'u' })).verdict).toBe('reused');
}

async function listening(server: Server, scheme = 'http'): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const page: RequestListener = (_, response) =>
  response.writeHead(200, { 'content-type': 'text/html' }).end('<html><title>Router login</title></html>');

describe('a URL that leads somewhere else', () => {
  test('a web page is no model server', async () => {
    const talk = await conversation();
    await failsEverywhere(talk, await listening(createServer(page)), {
      code: 'CWM-5005',
      message: /is not JSON: "Router login"/,
      hint: /Check that the URL is that of a model server/,
    });
    await goesOn(talk);
  });

  test('a redirect is named and not followed, so that nothing of the conversation reaches its target', async () => {
    const talk = await conversation();
    const heard: string[] = [];
    const listener: RequestListener = (request, response) => {
      heard.push(request.url ?? '');
      response.end();
    };
    const target = await listening(createServer(listener));
    const redirecting = createServer((request, response) =>
      response.writeHead(308, { location: `${target}${request.url}` }).end(),
    );
    await failsEverywhere(talk, await listening(redirecting), {
      code: 'CWM-5005',
      message: new RegExp(`redirects to ${target}.*HTTP 308`),
      hint: /final URL/,
    });
    expect(heard).toEqual([]);
    await goesOn(talk);
  });

  test('https with a certificate that nobody vouches for', async () => {
    const talk = await conversation();
    await failsEverywhere(talk, await listening(createTlsServer(selfSigned, page), 'https'), {
      code: 'CWM-5001',
      message: /No secure connection .* not signed by a trusted authority/,
      hint: /NODE_EXTRA_CA_CERTS/,
    });
    await goesOn(talk);
  });

  test('https where plain http is spoken', async () => {
    const talk = await conversation();
    await failsEverywhere(talk, talk.fake.url.replace('http:', 'https:'), {
      code: 'CWM-5001',
      message: /does not speak TLS/,
      hint: /http:\/\//,
    });
    await goesOn(talk);
  });

  test('http where TLS is spoken: the server hangs up, or says it in a web page', async () => {
    const talk = await conversation();
    await failsEverywhere(talk, await listening(createTlsServer(selfSigned, page)), {
      code: 'CWM-5001',
      message: /closed the connection without an answer/,
      hint: /If it speaks TLS there, give its URL as https:\/\//,
    });
    for (const says of [
      '<html><center>The plain HTTP request was sent to HTTPS port</center></html>',
      'Client sent an HTTP request to an HTTPS server.\n',
    ]) {
      const proxy = createServer((_, response) => response.writeHead(400, { 'content-type': 'text/html' }).end(says));
      await failsEverywhere(talk, await listening(proxy), {
        code: 'CWM-5001',
        message: /speaks TLS, and was asked without/,
        hint: /https:\/\//,
      });
    }
    await goesOn(talk);
  });
});

describe('a server that wants a key', () => {
  test('none set, and a wrong one, are told apart; the key is not shown', async () => {
    const keyless = await conversation();
    keyless.fake.faults.apiKey = 'right-key';
    await failsEverywhere(keyless, undefined, {
      code: 'CWM-5006',
      message: /wants an API key and none is set/,
      hint: /^Set the API key/,
    });
    keyless.fake.faults.apiKey = null;
    await goesOn(keyless);

    const wrong = await conversation({}, 'wrong-key');
    wrong.fake.faults.apiKey = 'right-key';
    const expected = {
      code: 'CWM-5006',
      message: /does not accept the API key that was sent/,
      hint: /^Correct the API key/,
    };
    await failsEverywhere(wrong, undefined, expected);
    const doctor = JSON.stringify(await wrong.client.call('doctor', {}));
    expect(doctor).toContain('CWM-5006');
    expect(doctor).not.toContain('wrong-key');
    wrong.fake.faults.apiKey = 'wrong-key';
    await goesOn(wrong);
  });
});

describe('a server that has changed since the freeze', () => {
  const askedOfModel = ({ fake }: Conversation): number =>
    toModel.reduce((sum, path) => sum + fake.requestsTo(path).length, 0);

  test('the model has vanished: refused before it is asked; a thaw opens the text', async () => {
    const talk = await conversation();
    const before = await everything(talk);
    talk.fake.faults.model = 'another-model';
    const asked = askedOfModel(talk);
    for (const call of [
      () => talk.client.call('send', { session: 's', text: words }),
      () => talk.client.call('freeze', { session: 's', window: 'x' }),
    ]) {
      const error = await refusal(call());
      expect(error).toMatchObject({ code: 'CWM-5003', hint: expect.stringContaining('Serve the model') });
      expect(error.message).toContain('the server has "another-model" now');
    }
    expect(askedOfModel(talk)).toBe(asked);
    expect(await everything(talk)).toEqual(before);
    expect((await talk.client.call('getSession', { session: 's' })).draft).toBe(words);
    for (const insist of [false, true]) {
      const session = `t-${insist}`;
      const receipt = await talk.client.call('thaw', { window: 'w', session, insist });
      expect(receipt).toMatchObject({ verdict: 'mismatch', session });
    }
    expect(askedOfModel(talk)).toBe(asked);
    talk.fake.faults.model = 'fake-model';
    await goesOn(talk);
  });

  test('the model vanishes between two requests of one operation', async () => {
    const talk = await conversation();
    const before = await everything(talk);
    const message = 'The model `fake-model` does not exist.';
    for (const path of toModel) {
      talk.fake.faults.http = { kind: 'status', status: 404, message, path };
      if (path === '/v1/completions') {
        expect(await talk.client.call('thaw', { window: 'w', session: 't' })).toMatchObject({ verdict: 'mismatch' });
        await talk.client.call('deleteSession', { session: 't' });
      } else
        expect(await refusal(talk.client.call('send', { session: 's', text: words }))).toMatchObject({
          code: 'CWM-5003',
        });
    }
    expect(await everything(talk)).toEqual(before);
    talk.fake.faults.http = null;
    await goesOn(talk);
  });

  test('its context is shorter than the window: CWM-7011 before any request to the model', async () => {
    const talk = await conversation();
    const before = await everything(talk);
    const { tokens } = (await talk.client.call('listWindows', {})).items[0] ?? { tokens: 0 };
    const asked = askedOfModel(talk);
    for (const maxModelLen of [tokens - 1, tokens]) {
      talk.fake.faults.maxModelLen = maxModelLen;
      const calls = [
        () => talk.client.call('freeze', { session: 's', window: 'x' }),
        () => talk.client.call('freeze', { session: 's', window: 'x', checkpoint: true }),
      ];
      for (const call of calls) {
        const error = await refusal(call());
        expect(error).toMatchObject({ code: 'CWM-7011', hint: expect.stringContaining('--max-model-len') });
        expect(error.message).toMatch(new RegExp(`has \\d+ tokens; the model at .* takes ${maxModelLen}\\.`));
      }
      const receipt = await talk.client.call('thaw', { window: 'w', session: 't' });
      expect(receipt).toMatchObject({ verdict: 'text-only', notes: [expect.stringContaining('CWM-7011')] });
      await talk.client.call('deleteSession', { session: 't' });
    }
    expect(askedOfModel(talk)).toBe(asked);
    expect(await everything(talk)).toEqual(before);
    talk.fake.faults.maxModelLen = 8192;
    await goesOn(talk);
  });

  test("a turn that is longer than the model's context is refused, and its text is stored", async () => {
    const talk = await conversation();
    const before = await everything(talk);
    const text = 'long '.repeat(2000);
    const error = await refusal(talk.client.call('send', { session: 's', text }));
    expect(error).toMatchObject({ code: 'CWM-7011', context: { draftKept: true } });
    expect((await talk.client.call('getSession', { session: 's' })).draft).toBe(text);
    expect(await everything(talk)).toEqual(before);
    await goesOn(talk);
  });
});

describe('a server that speaks the OpenAI API and is not vLLM', () => {
  const openai: Partial<FakeFaults> = {
    hasVersion: false,
    metrics: false,
    hasTokenize: false,
    usageDetails: 'null',
    returnsTokenIds: false,
    givesLogprobs: false,
  };

  test('works with what it offers; what it does not show is unobserved, and the doctor says why', async () => {
    const { client } = await conversation(openai);
    const thawed = await client.call('thaw', { window: 'w', session: 't' });
    expect(thawed).toMatchObject({ verdict: 'unobserved', cachedTokens: null });
    expect((await client.call('send', { session: 't', text: words, maxTokens: 4 })).text).not.toBe('');
    const { engine, capabilities } = await client.call('doctor', {});
    expect(engine).toMatchObject({ reachable: true, kind: 'openai' });
    const states = Object.fromEntries((capabilities?.items ?? []).map(({ name, state }) => [name, state]));
    expect(states).toMatchObject({ ready: 'yes', reuse: 'unknown', 'reuse-told': 'no', isolation: 'unknown' });
  });

  test('a server that reports cached tokens and returns ids is probed once, and believed from then on', async () => {
    const talk = await conversation({ ...openai, usageDetails: 'told', returnsTokenIds: true, givesLogprobs: true });
    const thawed = await talk.client.call('thaw', { window: 'w', session: 't' });
    expect(thawed).toMatchObject({ verdict: 'reused', blockTokens: 16 });
    const { capabilities } = await talk.client.call('doctor', {});
    expect(capabilities?.blockTokens).toBe(16);
    const triedLengths = () =>
      talk.fake
        .requestsTo('/v1/completions')
        .map(({ body }) => (body as { readonly prompt: readonly number[] }).prompt.length)
        .filter((length) => length === 3 * 16);
    const before = triedLengths();
    expect(before).not.toEqual([]);
    await talk.client.call('thaw', { window: 'w', session: 'u' });
    expect(triedLengths()).toEqual(before);
  });
});
