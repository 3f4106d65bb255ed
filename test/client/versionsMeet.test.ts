import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { BackendClient } from '../../src/client/backendClient.ts';
import { apiVersions, meet, type ApiVersions } from '../../src/protocol/version.ts';
import { FakeVllm } from '../fakes/fakeVllm.ts';
import { until } from '../support/until.ts';
import { readRecord, realBackends, realStart } from './support/realBackends.ts';
import { testProgram } from '../support/testProgram.ts';
import { isRunning } from '../support/isRunning.ts';

const { makeStorage, client } = realBackends();
const entry = testProgram('backendOfVersion');
const engines: FakeVllm[] = [];

afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.stop();
});

/** A model server that answers messages once `release` is called. */
async function slowEngine(): Promise<{ url: string; isAsked: () => boolean; release: () => void }> {
  const held: (() => void)[] = [];
  const engine = await FakeVllm.start({ schedule: (_, task) => held.push(task) });
  engines.push(engine);
  engine.faults.http = { kind: 'slow', delayMs: 1, path: '/v1/chat/completions' };
  return {
    url: engine.url,
    isAsked: () => engine.isHoldingBack,
    release: () => {
      engine.faults.http = null;
      for (const answer of held.splice(0)) answer();
    },
  };
}

/** A client of another release, which starts backends of that release. */
const release = (storage: string, api: ApiVersions): BackendClient =>
  client(storage, { api, start: { ...realStart, entry, env: { CWM_TEST_API: `${api.current},${api.oldest}` } } });

const lastMonth: ApiVersions = { current: 1, oldest: 1 };
const today: ApiVersions = { current: 2, oldest: 1 };
const nextYear: ApiVersions = { current: 5, oldest: 3 };

describe('versions of the API', () => {
  it.each([
    [today, today, 'fits'],
    [lastMonth, today, 'fits'],
    [today, lastMonth, 'backend too old'],
    [today, nextYear, 'client too old'],
    [nextYear, today, 'backend too old'],
    [lastMonth, undefined, 'backend too old'],
  ] as const)('a client of %j and a backend of %j: %s', (one, backend, meeting) => {
    expect(meet(one, backend)).toBe(meeting);
  });

  it('this program talks to itself', () => {
    expect(meet(apiVersions, apiVersions)).toBe('fits');
  });
});

describe('programs of several releases on one store', () => {
  it('the newest backend stays: an older client uses it, a newer client replaces it, and the older client continues', async () => {
    const storage = makeStorage();
    const older = release(storage, lastMonth);
    const newer = release(storage, today);
    await newer.call('createSession', { id: 'a' });
    const { pid } = readRecord(storage);
    await older.call('createSession', { id: 'b' });
    expect(readRecord(storage).pid).toBe(pid);

    await newer.call('shutdown', {});
    await until('it has ended', () => !isRunning(pid));
    await older.call('createSession', { id: 'c' });
    expect(readRecord(storage).api).toEqual(lastMonth);
    expect((await newer.call('listSessions', {})).total).toBe(3);
    expect(readRecord(storage).api).toEqual(today);
    const third = readRecord(storage).pid;
    expect((await older.call('listSessions', {})).total).toBe(3);
    await older.call('createSession', { id: 'd' });
    expect(readRecord(storage).pid).toBe(third);
  });

  it('an answer that is on its way while a newer client arrives ends whole, and nothing else is begun before', async () => {
    const engine = await slowEngine();
    const storage = makeStorage();
    const older = release(storage, lastMonth);
    await older.call('createSession', { id: 's', engine: engine.url });
    const before = readRecord(storage).pid;
    const sending = older.call('send', { session: 's', text: 'Tell me about ice.', maxTokens: 4 });
    await until('the engine was asked', engine.isAsked);

    const arriving = release(storage, today).call('listSessions', {});
    const log = (): string => readFileSync(join(storage, 'backend.log'), 'utf8');
    await until('the older backend makes room', () => log().includes('"retiring"'));
    const waiting = older.call('createSession', { id: 'later' });
    expect(readRecord(storage).pid).toBe(before);
    engine.release();
    expect((await sending).text).not.toBe('');
    expect((await arriving).items.map(({ id }) => id)).toContain('s');
    expect((await waiting).id).toBe('later');
    expect(readRecord(storage)).toMatchObject({ api: today });
    expect((await older.call('listMessages', { session: 's' })).total).toBe(2);
  });

  it('a client that is too old for the backend learns what to update, and the backend does not end', async () => {
    const storage = makeStorage();
    await release(storage, nextYear).call('createSession', {});
    const { pid } = readRecord(storage);
    await expect(release(storage, today).call('listSessions', {})).rejects.toMatchObject({
      code: 'CWM-1004',
      hint: expect.stringContaining('Update this program'),
    });
    expect(isRunning(pid)).toBe(true);
  });

  it('a backend from before versions were counted is asked to end', async () => {
    const storage = makeStorage();
    const old = await client(storage).call('health', {});
    const { api: _, ...record } = readRecord(storage);
    writeFileSync(join(storage, 'backend.json'), JSON.stringify(record));
    expect((await client(storage).call('health', {})).pid).not.toBe(old.pid);
    expect(readRecord(storage).api).toEqual(apiVersions);
    await until('the old one has ended', () => !isRunning(old.pid));
  });

  it('reports an older backend whose operations do not end', async () => {
    const engine = await slowEngine();
    const storage = makeStorage();
    const older = release(storage, lastMonth);
    await older.call('createSession', { id: 's', engine: engine.url });
    const sending = older.call('send', { session: 's', text: 'Tell me about ice.', maxTokens: 4 });
    await until('the engine was asked', engine.isAsked);
    const one = client(storage, { api: today, retireMs: 1 });
    await expect(one.call('health', {})).rejects.toMatchObject({
      code: 'CWM-5010',
      message: expect.stringContaining('An older backend'),
    });
    engine.release();
    await sending;
  });
});
