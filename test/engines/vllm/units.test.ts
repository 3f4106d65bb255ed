import { describe, expect, test } from 'vitest';
import { parseEndpoint } from '../../../src/engines/http/address.ts';
import { failureError } from '../../../src/engines/http/failure.ts';
import { retryDelayMs } from '../../../src/base/clock.ts';
import { serverReason } from '../../../src/engines/http/errorWords.ts';
import { weigh } from '../../../src/engines/vllm/metrics/evidence.ts';
import { identifyServer, type Asker } from '../../../src/engines/vllm/serverIdentity.ts';
import { readServerMetrics } from '../../../src/engines/vllm/metrics/serverMetrics.ts';
import { parseSamples } from '../../../src/engines/vllm/metrics/promText.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import { never } from './rig.ts';

describe('Prometheus text', () => {
  test('labels may hold quotes, backslashes, newlines, commas and braces', () => {
    const text = String.raw`a{x="1,2",y="q\"}\\\n"} 3.5e2 1700000000000`;
    const read = { name: 'a', labels: { x: '1,2', y: 'q"}\\\n' }, value: 350 };
    expect(parseSamples(text, new Set(['a']))).toEqual(new Map([['a', [read]]]));
  });

  test('comments, other series, histograms and nonsense are left out', () => {
    const text = ['# HELP a b', 'ab 1', 'a_bucket{le="1"} 1', 'a', 'a{x="1" 2', 'a NaN', 'a{} 7', 'a 8 ', ''].join(
      '\n',
    );
    const samples = parseSamples(text, new Set(['a']));
    expect([...samples.keys()]).toEqual(['a']);
    expect(samples.get('a')?.map(({ value }) => value)).toEqual([7, 8]);
  });

  test('ranks are added up, and what is not there is null, not 0', () => {
    const metrics = readServerMetrics(
      [
        'vllm:num_requests_running{engine="0"} 1.0',
        'vllm:num_requests_running{engine="1"} 2.0',
        'vllm:prompt_tokens_by_source_total{engine="0",source="local_compute"} 10.0',
        'vllm:prompt_tokens_by_source_total{engine="1",source="local_compute"} 5.0',
      ].join('\n'),
    );
    expect(metrics.requestsInFlight).toBe(3);
    expect(metrics.bySource).toEqual(new Map([['local_compute', 15]]));
    expect(metrics).toMatchObject({ requestsFinished: null, promptTokens: null, cachedBySource: null, isVllm: true });
    expect(readServerMetrics('<html>').isVllm).toBe(false);
  });
});

describe('weighing counters', () => {
  const metrics = (finished: number, tokens: number, cached: number) =>
    readServerMetrics(
      [
        'vllm:num_requests_running 0',
        'vllm:num_requests_waiting 0',
        `vllm:request_success_total{finished_reason="length"} ${finished}`,
        `vllm:prompt_tokens_total ${tokens}`,
        `vllm:prompt_tokens_cached_by_source_total{source="device"} ${cached}`,
      ].join('\n'),
    );
  const observation = {
    sentTokens: 100,
    usage: null,
    triedBefore: false,
    timeToFirstTokenMs: 1,
    serverTimeToFirstTokenMs: null,
    before: metrics(5, 1000, 500),
  };

  test('exactly one request of exactly our size is ours; anything else is somebody else’s too', () => {
    const ours = weigh({ ...observation, after: metrics(6, 1100, 596) });
    expect(ours).toMatchObject({ serverIdle: true, cachedTokens: 96, cachedTokensFrom: 'metrics', tier: 'device' });
    for (const after of [metrics(7, 1100, 596), metrics(6, 1200, 596), metrics(5, 1100, 596)]) {
      expect(weigh({ ...observation, after })).toMatchObject({ serverIdle: false, cachedTokens: null, tier: null });
    }
  });

  test('a test of ours between the readings is taken off, and alone it does not stand for the request', () => {
    const beside = { ...observation, besideTokens: 17 };
    expect(weigh({ ...beside, after: metrics(7, 1117, 596) })).toMatchObject({
      serverIdle: true,
      cachedTokens: 96,
      counters: { 'vllm:request_success_total': 1, 'vllm:prompt_tokens_total': 100 },
    });
    expect(weigh({ ...beside, after: metrics(6, 1017, 500) })).toMatchObject({ isFromElsewhere: true });
    for (const after of [metrics(8, 1117, 596), metrics(7, 1134, 596), metrics(7, 1100, 596)])
      expect(weigh({ ...beside, after })).toMatchObject({ serverIdle: false, cachedTokens: null });
  });

  test('counters that fell belong to another process', () => {
    expect(weigh({ ...observation, after: metrics(1, 100, 96) })).toMatchObject({
      serverIdle: null,
      cachedTokens: null,
      counters: {},
    });
  });

  test("the server's own time to the first token is stored beside ours", () => {
    const reuse = weigh({ ...observation, serverTimeToFirstTokenMs: 10.4, after: metrics(6, 1100, 596) });
    expect(reuse.counters['metrics.time_to_first_token_ms']).toBe(10.4);
    expect(reuse.timeToFirstTokenMs).toBe(1);
  });
});

describe('the folder that an embedded engine names', () => {
  const answers: Record<string, unknown> = {
    '/v1/models': { data: [{ id: 'm', cwm: { blockDir: '/kv', blockTokens: 32, fingerprint: 'f' } }] },
    '/version': { version: '1' },
  };
  const asker = (isLocal: boolean): Asker => ({
    label: 'http://engine',
    isLocal,
    text: () => Promise.reject(new CwmError('NotAnEngine', 'no metrics')),
    json: async (request, schema) => ({ value: schema.parse(answers[request.path]), triedBefore: false }),
  });

  test('is believed only on this machine, because files in it get deleted', async () => {
    const here = await identifyServer(asker(true), { wanted: undefined, before: undefined }, never);
    const elsewhere = await identifyServer(asker(false), { wanted: undefined, before: undefined }, never);
    expect(here).toMatchObject({ blockDir: '/kv', description: { kind: 'embedded', blockTokens: 32 } });
    expect(elsewhere).toMatchObject({ blockDir: null, description: { kind: 'embedded', blockTokens: 32 } });
  });
});

describe('retries', () => {
  test('S0-41 the pause doubles from one second to ten, with up to a quarter more', () => {
    expect([1, 2, 3, 4, 5, 9].map((tries) => retryDelayMs(tries, 0))).toEqual([1000, 2000, 4000, 8000, 10000, 10000]);
    expect(retryDelayMs(1, 1)).toBe(1250);
  });
});

describe('addresses', () => {
  test('are named without credentials, and a trailing /v1 is understood', () => {
    expect(parseEndpoint('http://user:pass@host:81/base/v1/')).toEqual({
      origin: 'http://host:81',
      basePath: '/base',
      label: 'http://host:81/base',
      loopback: false,
    });
    for (const host of ['localhost', '127.0.0.1', '127.1.2.3', '[::1]'])
      expect(parseEndpoint(`http://${host}:1`).loopback).toBe(true);
    for (const host of ['localhost.evil.example', '127.evil.example', '10.0.0.1'])
      expect(parseEndpoint(`http://${host}:1`).loopback).toBe(false);
  });
});

describe('failures', () => {
  const withCode = (code: string): Error => Object.assign(new Error('x'), { code });

  test('a certificate that is not trusted, out of date, or for another host is told apart, with a way out', () => {
    const messages = ['DEPTH_ZERO_SELF_SIGNED_CERT', 'CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID'].map((code) => {
      const error = failureError(withCode(code), 'https://host');
      expect(error.code).toBe('CWM-5001');
      expect(error.hint).toContain('NODE_EXTRA_CA_CERTS');
      return error.message;
    });
    expect(messages[0]).toContain('trusted authority');
    expect(messages[1]).toContain('expired');
    expect(messages[2]).toContain('another host');
  });

  test('a connection that cannot be made in time is CWM-5001', () => {
    expect(failureError(withCode('UND_ERR_CONNECT_TIMEOUT'), 'http://host').code).toBe('CWM-5001');
  });

  test('localhost has two addresses and one error for both', () => {
    const both = new AggregateError([withCode('ECONNREFUSED'), withCode('ECONNREFUSED')]);
    expect(failureError(both, 'http://localhost:1').message).toBe('Nothing listens at http://localhost:1.');
  });
});

describe('a server’s own reason', () => {
  test('is found wherever servers put it, as one short line; a web page has none', () => {
    expect(serverReason('{"error": {"message": "a\\n b", "code": 400}}')).toBe('a b');
    expect(serverReason('{"error": "Unauthorized"}')).toBe('Unauthorized');
    expect(serverReason('{"object": "error", "message": "old"}')).toBe('old');
    expect(serverReason('{"detail": "Not Found"}')).toBe('Not Found');
    expect(serverReason('plain text')).toBe('plain text');
    expect(serverReason('<html><body>Bad gateway</body></html>')).toBe('');
    expect(serverReason('x'.repeat(1000))).toHaveLength(301);
  });
});
