import { describe, expect, test } from 'vitest';
import type { Change } from '../../src/protocol/api.ts';
import { CwmError } from '../../src/protocol/errors.ts';
import type { Backend, ConnectBackend } from '../../src/vscode/backend.ts';
import { BackendConnection } from '../../src/vscode/backendConnection.ts';
import { StateStore } from '../../src/vscode/state.ts';
import { FakeBackend, healthAnswer } from './fakeBackend.ts';

function connectionTo(connect: ConnectBackend) {
  const fail = (error: unknown): never => {
    throw error;
  };
  const state = new StateStore(fail);
  const connection = new BackendConnection(connect, state, fail);
  const changes: Change[] = [];
  connection.onChange((change) => changes.push(change));
  return { state, connection, changes, kind: () => state.current.connection.kind };
}

const healthy = (): FakeBackend => new FakeBackend({ health: () => healthAnswer });

describe('the connection to the backend', () => {
  test('starts nothing until somebody asks, and one backend for all who ask at once', async () => {
    let starts = 0;
    const { connection, kind } = connectionTo(async () => {
      starts++;
      return healthy();
    });
    expect(kind()).toBe('idle');
    expect(connection.isOpen).toBe(false);
    await Promise.all([connection.call('health', {}), connection.call('health', {}), connection.open()]);
    expect(starts).toBe(1);
    expect(kind()).toBe('connected');
  });

  test('says that it is starting while it is, and has everything fetched once it is there', async () => {
    const started = Promise.withResolvers<Backend>();
    const { connection, changes, kind } = connectionTo(() => started.promise);
    const opened = connection.open();
    expect(kind()).toBe('starting');
    started.resolve(healthy());
    await opened;
    expect(changes).toEqual([{ type: 'resync' }]);
  });

  test('a start that fails is shown with its error, and the next call tries again', async () => {
    let tries = 0;
    const { connection, state } = connectionTo(async () => {
      if (++tries === 1) throw new CwmError('CWM-5010', 'It does not start.');
      return healthy();
    });
    await expect(connection.call('health', {})).rejects.toMatchObject({ code: 'CWM-5010' });
    expect(state.current.connection).toMatchObject({ kind: 'failed', error: { code: 'CWM-5010' } });
    await expect(connection.call('health', {})).resolves.toEqual(healthAnswer);
    expect(state.current.connection.kind).toBe('connected');
  });

  test('a backend that dies is shown as gone; the next call finds another one and fetches everything', async () => {
    const backend = healthy();
    const { connection, changes, kind } = connectionTo(async () => backend);
    await connection.open();
    backend.die();
    expect(kind()).toBe('failed');
    expect(connection.isOpen).toBe(false);
    await connection.call('health', {});
    expect(kind()).toBe('connected');
    expect(changes).toEqual([{ type: 'resync' }, { type: 'resync' }]);
  });

  test('a backend that somebody else started again is noticed by its signals', async () => {
    const backend = healthy();
    const { connection, changes, kind } = connectionTo(async () => backend);
    await connection.open();
    backend.die();
    backend.emit({ type: 'window', window: 'w' });
    expect(kind()).toBe('connected');
    expect(changes).toEqual([{ type: 'resync' }, { type: 'resync' }, { type: 'window', window: 'w' }]);
  });

  test('a call that finds the backend gone says so in the state too', async () => {
    const backend = new FakeBackend({
      doctor: () => {
        throw new CwmError('CWM-5010', 'It ended while it worked.');
      },
    });
    const { connection, kind } = connectionTo(async () => backend);
    await expect(connection.call('doctor', {})).rejects.toMatchObject({ code: 'CWM-5010' });
    expect(kind()).toBe('failed');
  });

  test('what the backend refuses is no loss of the connection', async () => {
    const { connection, kind } = connectionTo(async () => new FakeBackend());
    await expect(connection.call('health', {})).rejects.toMatchObject({ code: 'CWM-2008' });
    expect(kind()).toBe('connected');
  });

  test('an abort ends the wait of one caller, not the start that another one waits for', async () => {
    const started = Promise.withResolvers<Backend>();
    const { connection, kind } = connectionTo(() => started.promise);
    const cancel = new AbortController();
    const first = connection.call('health', {}, cancel.signal);
    const second = connection.call('health', {});
    cancel.abort();
    await expect(first).rejects.toMatchObject({ code: 'CWM-6003' });
    started.resolve(healthy());
    await expect(second).resolves.toEqual(healthAnswer);
    expect(kind()).toBe('connected');
  });

  test('closing lets go of the backend, also of one that was still starting', async () => {
    const backends = [healthy(), healthy()];
    const started = Promise.withResolvers<Backend>();
    let starts = 0;
    const { connection, kind } = connectionTo(() => {
      starts++;
      return starts === 1 ? Promise.resolve(backends[0] as Backend) : started.promise;
    });
    await connection.open();
    connection.close();
    expect(backends[0]?.disposed).toBe(true);
    expect(kind()).toBe('idle');

    const late = connection.open();
    connection.close();
    started.resolve(backends[1] as Backend);
    await expect(late).rejects.toMatchObject({ code: 'CWM-6003' });
    expect(backends[1]?.disposed).toBe(true);
    expect(kind()).toBe('idle');
  });
});
