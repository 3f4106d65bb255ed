import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { BackendClient } from '../../src/client/backendClient.ts';
import { CwmError } from '../../src/protocol/errors.ts';
import { killHard, readRecord, realBackends, realStart } from '../client/support/realBackends.ts';
import { wholeBackends } from '../security/support/wholeBackend.ts';

const { makeStorage, client } = realBackends();
const start = wholeBackends();
const count = (data: object): number => (data as { count?: number }).count ?? 0;

/** Asks again for as long as the answer says that this may help. */
async function persistently<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof CwmError) || !['CWM-3103', 'CWM-7003', 'CWM-5010'].includes(error.code)) throw error;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

const increment = (by: BackendClient, session: string): Promise<number> =>
  persistently(async () => {
    const { version, data } = await by.call('getState', { session });
    await by.call('updateState', { session, version: version + 1, data: { ...data, count: count(data) + 1 } });
    return version + 1;
  });

describe('S3-04 selecting a session that does not exist', () => {
  it('creates it when the backend was told so', async () => {
    const one = client(makeStorage(), { start: { ...realStart, args: ['--state-auto-create', 'on'] } });
    expect((await one.call('selectSession', { session: 'new' })).active).toEqual(['new']);
    expect((await one.call('getSession', { session: 'new' })).id).toBe('new');
  });

  it('is refused otherwise', async () => {
    const { client: one } = await start();
    await expect(one.call('selectSession', { session: 'new' })).rejects.toMatchObject({ code: 'CWM-2001' });
  });
});

describe('S3-11 several clients of one backend', () => {
  it('20 updates at once by 20 clients are all stored', async () => {
    const storage = makeStorage();
    const clients = Array.from({ length: 20 }, () => client(storage));
    await clients[0]!.call('createSession', { id: 's' });
    const versions = await Promise.all(clients.map((each) => increment(each, 's')));
    expect(versions.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
    expect(await clients[7]!.call('getState', { session: 's' })).toMatchObject({ version: 20, data: { count: 20 } });
  });

  it('50 sessions are made at once, and 100 reads and updates over 10 of them mix nothing up', async () => {
    const { client: by } = await start();
    const ids = Array.from({ length: 50 }, (_, n) => `c${n}`);
    await Promise.all(ids.map((id) => persistently(() => by.call('createSession', { id }))));
    expect((await by.call('listSessions', {})).total).toBe(50);
    const asked = Array.from({ length: 100 }, (_, n) => ({ session: ids[n % 10]!, reads: n % 20 < 10 }));
    await Promise.all(
      asked.map(({ session, reads }) => (reads ? by.call('getState', { session }) : increment(by, session))),
    );
    for (const session of ids.slice(0, 10)) {
      expect(await by.call('getState', { session })).toMatchObject({ version: 5, data: { count: 5 } });
    }
  });

  it('what was acknowledged before kill -9 is there afterwards', async () => {
    const storage = makeStorage();
    const [a, b] = [client(storage), client(storage)];
    await a.call('createSession', { id: 's' });
    let acknowledged = 0;
    for (let kill = 0; kill < 3; kill++) {
      const updates = Promise.all(
        [a, b].map(async (each) => {
          for (let n = 0; n < 10; n++) {
            try {
              acknowledged = Math.max(acknowledged, await increment(each, 's'));
            } catch (error) {
              // It died with this one under way: nobody knows whether it is done.
              expect(error).toMatchObject({ retryable: true });
            }
          }
        }),
      );
      await increment(a, 's');
      await killHard(readRecord(storage).pid);
      await updates;
    }
    const { version, data } = await b.call('getState', { session: 's' });
    expect(version).toBeGreaterThanOrEqual(acknowledged);
    expect(data).toEqual({ count: version });
    const { items, damaged } = await b.call('listRecoveryPoints', { session: 's' });
    expect({ few: items.length <= 10, damaged }).toEqual({ few: true, damaged: [] });
    expect((await b.call('verify', {})).healthy).toBe(true);
  });
});

describe('routes of the tracker', () => {
  it('S3-10 the audit log has each change with session and version, never with content', async () => {
    const { client: by, storage } = await start();
    await by.call('createSession', { id: 's' });
    for (const version of [1, 2]) await by.call('updateState', { session: 's', version, data: { secret: 'hunter2' } });
    await by.call('restoreRecoveryPoint', { session: 's' }).catch(() => undefined);
    await by.call('createRecoveryPoint', { session: 's' });
    await by.call('updateState', { session: 's', version: 3, data: {} });
    await by.call('restoreRecoveryPoint', { session: 's' });
    const log = await readFile(`${storage}/audit.jsonl`, 'utf8');
    expect(log).toContain('"event":"STATE_UPDATE"');
    expect(log).toMatch(/"event":"STATE_RESTORE","outcome":"ok".*"session":"s","from":"3","to":"4"/);
    expect(log).not.toContain('hunter2');
    expect((await by.call('verifyAudit', {})).healthy).toBe(true);
  });

  it('S3-04 "@" is the session that was activated last, for every client', async () => {
    const { client: by } = await start();
    await expect(by.call('syncState', { session: '@', folder: '/tmp' })).rejects.toMatchObject({ code: 'CWM-3104' });
    for (const id of ['s1', 's2']) await by.call('createSession', { id });
    await by.call('selectSession', { session: 's2' });
    await by.call('updateState', { session: '@', version: 1, data: { n: 2 } });
    expect(await by.call('selectedSessions', {})).toMatchObject({ current: { session: 's2', data: { n: 2 } } });
    await by.call('deselectSession', {});
    await expect(by.call('getState', { session: '@' })).rejects.toMatchObject({ code: 'CWM-3104' });
  });
});
