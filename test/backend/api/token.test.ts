import { describe, expect, it } from 'vitest';
import { backendProof, challengePath } from '../../../src/protocol/backendRecord.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { createApp } from '../../../src/backend/api/app.ts';
import { makeDispatch } from '../../../src/backend/api/dispatch.ts';
import { IdleWatch } from '../../../src/backend/process/idleWatch.ts';
import { OperationLimit } from '../../../src/backend/api/operationLimit.ts';
import type { Refusal } from '../../../src/backend/audit/refusals.ts';
import { RateLimiter } from '../../../src/backend/api/rateLimit.ts';
import { NamedEvents, SignalBus } from '../../../src/backend/api/signalBus.ts';
import { checkToken } from '../../../src/backend/api/admission.ts';
import type { ProcessHandlers } from '../../../src/backend/api/processHandlers.ts';
import { FakeDomain } from '../support/fakeDomain.ts';

const refused: Refusal[] = [];
const app = createApp({
  dispatch: makeDispatch({
    operations: new FakeDomain().operations,
    process: {} as ProcessHandlers,
    limit: new OperationLimit(),
    rates: new RateLimiter(() => null, systemClock),
    readOnlyWhy: null,
    noMoreWhy: () => null,
  }),
  bus: new SignalBus(0),
  events: new NamedEvents(0),
  idle: new IdleWatch(0, () => undefined),
  folders: { listen: () => ({ dispose: () => undefined }) },
  log: { write: () => undefined, failure: () => undefined },
  onRefused: (refusal) => refused.push(refusal),
  streamsEnded: new AbortController().signal,
  operationsEnded: new AbortController().signal,
  admit: (headers) => checkToken(headers.get('authorization'), 'right'),
  identity: { token: 'right', address: () => 'here' },
  api: { current: 2, oldest: 1 },
});

describe('a backend, which has a token', () => {
  it('answers a client that knows the token', async () => {
    const answer = await app.request('/api/windows', { headers: { authorization: 'Bearer right' } });
    expect(answer.status).toBe(200);
  });

  it('sends a client of another version of the API away, to look for its backend again', async () => {
    const ask = (version: string) =>
      app.request('/api/windows', { headers: { authorization: 'Bearer right', 'x-cwm-api': version } });
    for (const version of ['1', '2']) expect((await ask(version)).status, version).toBe(200);
    for (const version of ['0', '3', '-1', 'x', '1e9']) {
      const answer = await ask(version);
      expect(answer.status, version).toBe(503);
      expect(await answer.json()).toMatchObject({ error: { code: 'CWM-5010', details: { reconnect: true } } });
    }
  });

  it('proves that it knows the token to who has none, for one well-formed nonce', async () => {
    const nonce = 'a'.repeat(64);
    const answer = await app.request(`${challengePath}?nonce=${nonce}`);
    expect(await answer.json()).toEqual({ proof: backendProof('right', 'here', nonce) });
    for (const odd of ['', 'a', 'A'.repeat(64), `${nonce}a`, `${nonce}%0a`]) {
      expect((await app.request(`${challengePath}?nonce=${odd}`)).status, odd).toBe(400);
    }
  });

  it.each([undefined, '', 'right', 'Bearer', 'Bearer wrong', 'Bearer righ', 'Bearer rightt', 'bearer right'])(
    'refuses %j with CWM-8001, for every path',
    async (authorization) => {
      const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
      for (const path of ['/api/windows', '/api/events', '/api/health', '/nothing']) {
        const answer = await app.request(path, { headers });
        expect(answer.status, path).toBe(403);
        expect(await answer.json()).toMatchObject({ error: { code: 'CWM-8001' } });
        expect(refused.at(-1)).toMatchObject({
          route: null,
          input: null,
          client: 'unnamed',
          error: { code: 'CWM-8001' },
        });
      }
    },
  );
});
