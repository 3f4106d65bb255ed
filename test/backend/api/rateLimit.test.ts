import { describe, expect, it, test } from 'vitest';
import {
  changeLimits,
  gatewayLimitsOf,
  limitsOf,
  RateLimiter,
  type RateLimits,
} from '../../../src/backend/api/rateLimit.ts';
import { BackendClient } from '../../../src/client/backendClient.ts';
import { requestBackend } from '../../../src/client/transport.ts';
import type { CwmError } from '../../../src/protocol/errors.ts';
import { backendsInProcess } from '../support/backendInProcess.ts';
import { someSession } from '../support/fakeDomain.ts';

const secondMs = 1000;

function limiter(limits: (client: string) => RateLimits | null = () => limitsOf(60)) {
  let nowMs = 0;
  const rates = new RateLimiter(limits, { elapsedMs: () => nowMs });
  /** How many of so many get through. */
  const take = (count: number, client = 'mcp.1'): number => {
    let through = 0;
    for (let tried = 0; tried < count; tried++) {
      try {
        rates.take(client);
        through++;
      } catch (error) {
        expect(error).toMatchObject({ code: 'CWM-7002', retryable: true });
      }
    }
    return through;
  };
  const waitSeconds = (client = 'mcp.1'): unknown => {
    try {
      rates.take(client);
      return 0;
    } catch (error) {
      return (error as CwmError).context?.['retry_after_seconds'];
    }
  };
  return { take, waitSeconds, advance: (ms: number) => (nowMs += ms) };
}

describe('S0-62 rate limit', () => {
  it('lets 10 through at once, then one a second, and says how long to wait', () => {
    const { take, waitSeconds, advance } = limiter();
    expect(take(50)).toBe(10);
    expect(waitSeconds()).toBe(1);
    advance(400);
    expect(waitSeconds()).toBe(1);
    advance(600);
    expect(take(50)).toBe(1);
    advance(60 * secondMs);
    expect(take(50)).toBe(10);
  });

  it('refused changes do not count: a client that waits for the stated time gets through', () => {
    const { take, waitSeconds, advance } = limiter();
    take(1000);
    for (let again = 0; again < 5; again++) {
      advance(Number(waitSeconds()) * secondMs);
      expect(waitSeconds()).toBe(0);
    }
  });

  it('lets 1,000 through in an hour, however they are spread', () => {
    const { take, waitSeconds, advance } = limiter();
    let through = 0;
    for (let second = 0; second < 1200; second++, advance(secondMs)) through += take(2);
    // 1,000 at the beginning, and what an hour's 1,000 add in 20 minutes.
    expect(through).toBeGreaterThanOrEqual(1000);
    expect(through).toBeLessThanOrEqual(1000 + 334 + 1);
    take(1);
    expect(Number(waitSeconds())).toBeLessThanOrEqual(4);
  });

  it('counts each client separately, also with thousands of clients', () => {
    const { take } = limiter();
    expect(take(20, 'mcp.1')).toBe(10);
    expect(take(20, 'mcp.2')).toBe(10);
    for (let client = 0; client < 3000; client++) expect(take(1, `mcp.x${client}`)).toBe(1);
  });

  it.each([
    [60, 'cli.1', null],
    [60, 'vscode.1', null],
    [60, 'unnamed', null],
    [1, 'cli.1', null],
    [60, 'mcp.1', { perMinute: 60, perHour: 1000, burst: 10 }],
    [60, 'http.codex', { perMinute: 60, perHour: 1000, burst: 10 }],
    [60, 'gateway', { perMinute: 60, perHour: 1000, burst: 10 }],
    [0, 'mcp.1', null],
    [600, 'mcp.1', { perMinute: 600, perHour: 10_000, burst: 100 }],
    [6, 'mcp.1', { perMinute: 6, perHour: 100, burst: 10 }],
  ])('with --rate-limit %s the client %s has %j: it is about agents', (perMinute, client, limits) => {
    expect(changeLimits(perMinute)(client)).toEqual(limits);
  });
});

test('S0-62 a client of the gateway may send all of a minute at once, and goes on so for hours', () => {
  expect(gatewayLimitsOf(600)).toEqual({ perMinute: 600, perHour: 36_000, burst: 600 });
  expect(gatewayLimitsOf(1)).toEqual({ perMinute: 1, perHour: 60, burst: 10 });
  expect(gatewayLimitsOf(0)).toBeNull();
});

describe('S0-62 a backend', () => {
  const start = backendsInProcess();

  it('refuses an agent that asks for too many changes with CWM-7002, and nobody else', async () => {
    let nowMs = 0;
    const { backend, fake, client } = await start({ clock: { elapsedMs: () => nowMs } });
    fake.on('createSession', () => someSession('s'));
    const agent = new BackendClient({
      kind: 'mcp',
      start: async () => backend.record,
      find: async () => backend.record,
    });
    for (let asked = 0; asked < 10; asked++) await agent.call('createSession', {});
    await expect(agent.call('createSession', {})).rejects.toMatchObject({
      code: 'CWM-7002',
      context: { retry_after_seconds: 1, perMinute: 60, perHour: 1000 },
    });
    expect(fake.calls).toHaveLength(10);
    nowMs += secondMs;
    await agent.call('createSession', {});
    await expect(agent.call('createSession', {})).rejects.toMatchObject({ code: 'CWM-7002' });
    for (let asked = 0; asked < 50; asked++) await agent.call('listWindows', {});
    for (let asked = 0; asked < 50; asked++) await client.call('createSession', {});
    agent.dispose();
  });

  it('S0-62 with --rate-limit refuses agents alone, and names both places where the user sets it', async () => {
    const { backend, fake, client } = await start({ ratePerMinute: 1, clock: { elapsedMs: () => 0 } });
    fake.on('createSession', () => someSession('s'));
    const agent = new BackendClient({
      kind: 'mcp',
      start: async () => backend.record,
      find: async () => backend.record,
    });
    for (let asked = 0; asked < 10; asked++) await agent.call('createSession', {});
    await expect(agent.call('createSession', {})).rejects.toMatchObject({
      context: { retry_after_seconds: 60 },
      hint: expect.stringMatching(/cwm\.limits\.changesPerMinute in VS Code.*--rate-limit of "cwm serve"/) as unknown,
    });
    for (let asked = 0; asked < 50; asked++) await client.call('createSession', {});
    const request = { method: 'POST', path: '/api/contexts', body: '{}' } as const;
    for (let asked = 0; asked < 20; asked++) {
      const answer = await requestBackend(backend.record, request, { timeoutMs: 10_000 });
      expect(answer.status).toBeLessThan(300);
    }
    agent.dispose();
  });
});
