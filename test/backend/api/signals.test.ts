import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { SignalBus } from '../../../src/backend/api/signalBus.ts';
import { maxSessionIdLength, parseProjectUri } from '../../../src/protocol/ids.ts';
import { readSignals } from '../../../src/client/signalStream.ts';
import type { Change, Signal } from '../../../src/protocol/signals.ts';
import { backendsInProcess, type BackendUnderTest } from '../support/backendInProcess.ts';
import { until } from '../../support/until.ts';

const start = backendsInProcess();
const windowChange = (window: string): Change => ({ type: 'window', window });
const windowsOf = (signals: readonly Signal[]): string[] =>
  signals.flatMap(({ change }) => (change.type === 'window' ? [change.window] : [change.type]));

interface Listening {
  readonly heard: Signal[];
  readonly stop: () => Promise<void>;
}

/** Reads the stream until stopped; resolves when the backend has taken the connection. */
async function listen({ backend }: BackendUnderTest, lastSequence: number | null): Promise<Listening> {
  const stopped = new AbortController();
  const heard: Signal[] = [];
  const opened = Promise.withResolvers<void>();
  const ended = readSignals(
    { record: backend.record, lastSequence },
    opened.resolve,
    (signal) => heard.push(signal),
    stopped.signal,
  ).catch(() => undefined);
  await opened.promise;
  return {
    heard,
    stop: async () => {
      stopped.abort();
      await ended;
    },
  };
}

describe('signals', () => {
  it('S4-40 say what changed, numbered without gaps, after a heartbeat that tells where they start', async () => {
    const tested = await start();
    const { heard, stop } = await listen(tested, null);
    await until('the heartbeat', () => heard.length === 1);
    tested.emit(windowChange('a'));
    tested.emit(windowChange('b'));
    await until('both signals', () => heard.length === 3);
    expect(windowsOf(heard)).toEqual(['heartbeat', 'a', 'b']);
    const first = heard[0]?.sequence ?? 0;
    expect(heard.map(({ sequence }) => sequence - first)).toEqual([0, 1, 2]);
    await stop();
  });

  it('S4-40 continue after the last one that a client saw', async () => {
    const tested = await start();
    const before = await listen(tested, null);
    tested.emit(windowChange('a'));
    await until('the signal', () => windowsOf(before.heard).includes('a'));
    await before.stop();
    tested.emit(windowChange('b'));
    tested.emit(windowChange('c'));
    const after = await listen(tested, before.heard.at(-1)?.sequence ?? null);
    await until('what was missed', () => after.heard.length === 2);
    expect(windowsOf(after.heard)).toEqual(['b', 'c']);
    await after.stop();
  });

  it('S4-40 tell a client that comes from an earlier backend to start over', async () => {
    const tested = await start();
    tested.emit(windowChange('a'));
    const { heard, stop } = await listen(tested, 17);
    await until('the resync', () => heard.length > 0);
    expect(windowsOf(heard)).toEqual(['resync']);
    tested.emit(windowChange('b'));
    await until('the next signal', () => heard.length === 2);
    await stop();
  });

  it('S4-40 reach two clients alike', async () => {
    const tested = await start();
    const [one, two] = [await listen(tested, null), await listen(tested, null)];
    for (let index = 0; index < 1000; index++) tested.emit(windowChange(`w${index}`));
    await until('all signals at both', () => one.heard.length === 1001 && two.heard.length === 1001);
    expect(one.heard).toEqual(two.heard);
    await Promise.all([one.stop(), two.stop()]);
  });

  it('end when the backend stops, which its clients hear', async () => {
    const tested = await start();
    const closed = Promise.withResolvers<void>();
    const heard: Signal[] = [];
    tested.client.onClosed(closed.resolve);
    tested.client.onSignal((signal) => heard.push(signal));
    await until('the stream is open', () => {
      tested.emit(windowChange('x'));
      return heard.length > 0;
    });
    await tested.backend.stop('test');
    await closed.promise;
  });

  it('S4-40 have a heartbeat every 30 s, and keep the backend from being idle while somebody listens', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const tested = await start({ idleMs: 300_000 });
      const listening = await listen(tested, null);
      await until('the first heartbeat', () => listening.heard.length === 1);
      for (let count = 2; count <= 22; count++) {
        vi.advanceTimersByTime(30_000);
        await until(`heartbeat ${count}`, () => listening.heard.length === count);
      }
      expect(new Set(windowsOf(listening.heard))).toEqual(new Set(['heartbeat']));
      await listening.stop();
      await until('the backend stops after five minutes alone', async () => {
        vi.advanceTimersByTime(300_000);
        return !existsSync(join(tested.storage, 'backend.json'));
      });
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('signal bus', () => {
  it('answers a reader that is too late with one resync instead of a gap', () => {
    const bus = new SignalBus(100, 3);
    for (const name of ['a', 'b', 'c', 'd']) bus.publish(windowChange(name));
    expect(windowsOf(bus.after(101))).toEqual(['b', 'c', 'd']);
    expect(bus.after(100)).toEqual([{ sequence: 104, change: { type: 'resync' } }]);
    expect(bus.after(105)).toEqual([{ sequence: 104, change: { type: 'resync' } }]);
    expect(bus.after(104)).toEqual([]);
  });

  it('S4-40 keeps every signal under 1 KB', () => {
    const bus = new SignalBus(Number.MAX_SAFE_INTEGER - 5);
    bus.publish({ type: 'session', session: 's'.repeat(maxSessionIdLength), version: Number.MAX_SAFE_INTEGER });
    bus.publish({ type: 'window', window: 'w'.repeat(128) });
    bus.publish({ type: 'project', project: parseProjectUri(`file:///${'p'.repeat(900)}`) });
    bus.publish({ type: 'project', project: parseProjectUri(`file:///${'é'.repeat(900)}`) });
    expect(bus.after(bus.head - 2).map(({ change }) => change.type)).toEqual(['project', 'resync']);
    for (const signal of bus.after(bus.head - 4)) expect(Buffer.byteLength(JSON.stringify(signal))).toBeLessThan(1024);
  });
});
