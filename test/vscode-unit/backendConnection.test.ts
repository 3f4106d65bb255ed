import { describe, expect, test } from 'vitest';
import type { Change } from '../../src/protocol/signals.ts';
import { CwmError } from '../../src/protocol/errors.ts';
import type { Backend, ConnectBackend } from '../../src/vscode/connection/backend.ts';
import { BackendConnection } from '../../src/vscode/connection/backendConnection.ts';
import { ViewState } from '../../src/vscode/state.ts';
import { FakeBackend, healthAnswer } from './fakeBackend.ts';

function connectionTo(connect: ConnectBackend) {
  const fail = (error: unknown): never => {
    throw error;
  };
  const state = new ViewState(fail);
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
      if (++tries === 1) throw new CwmError('BackendUnavailable', 'It does not start.');
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

  test('when none can be started after a loss, the reason is what is shown from then on', async () => {
    const backend = new FakeBackend({
      health: () => {
        throw new CwmError('EncryptionKey', 'The key file cannot be read.');
      },
    });
    const { connection, state } = connectionTo(async () => backend);
    await connection.open();
    backend.die();
    expect(state.current.connection).toMatchObject({ kind: 'failed', error: { code: 'CWM-5010' } });
    await expect(connection.call('health', {})).rejects.toMatchObject({ code: 'CWM-8003' });
    expect(state.current.connection).toMatchObject({ kind: 'failed', error: { code: 'CWM-8003' } });
  });

  test('a backend that another client started is noticed by its signals', async () => {
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
        throw new CwmError('BackendUnavailable', 'It ended while it worked.');
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
    const first = connection.call('health', {}, { signal: cancel.signal });
    const second = connection.call('health', {});
    cancel.abort();
    await expect(first).rejects.toMatchObject({ code: 'CWM-6003' });
    started.resolve(healthy());
    await expect(second).resolves.toEqual(healthAnswer);
    expect(kind()).toBe('connected');
  });

  test('closing lets go of the backend', async () => {
    const backend = healthy();
    const { connection, kind } = connectionTo(async () => backend);
    await connection.open();
    connection.close();
    expect(backend.disposed).toBe(true);
    expect(kind()).toBe('idle');
  });

  test('a call that waits for a start while the settings change gets the backend of the new settings', async () => {
    const late = healthy();
    const current = healthy();
    const started = Promise.withResolvers<Backend>();
    const backends = [started.promise, Promise.resolve(current)];
    const { connection, kind } = connectionTo(() => backends.shift() ?? Promise.reject(new Error('a third start')));
    const opened = connection.open();
    connection.close();
    const openedAfterwards = connection.open();
    started.resolve(late);
    expect(await opened).toBe(current);
    expect(await openedAfterwards).toBe(current);
    expect(late.disposed).toBe(true);
    expect(kind()).toBe('connected');
  });

  test('the same when the late start fails: its failure is not shown', async () => {
    const current = healthy();
    const started = Promise.withResolvers<Backend>();
    const backends = [started.promise, Promise.resolve(current)];
    const { connection, kind } = connectionTo(() => backends.shift() ?? Promise.reject(new Error('a third start')));
    const opened = connection.open();
    connection.close();
    started.reject(new CwmError('WriteFailed', 'The old directory cannot be written.'));
    expect(await opened).toBe(current);
    expect(kind()).toBe('connected');
  });

  test('every call waits for work that is done without the backend, and no failure is shown until then', async () => {
    const before = healthy();
    const after = healthy();
    const backends = [before, after];
    const { connection, state, changes, kind } = connectionTo(
      async () => backends.shift() ?? Promise.reject(new Error('a third start')),
    );
    await connection.open();
    const kinds: string[] = [];
    state.render(['connection'], ({ connection }) => kinds.push(connection.kind));
    const work = Promise.withResolvers<string>();
    const worked = connection.without(() => work.promise);
    const asked = connection.call('health', {});
    expect(before.disposed).toBe(true);
    before.die();
    expect(kind()).toBe('starting');
    expect(backends).toHaveLength(1);
    work.resolve('done');
    expect(await worked).toBe('done');
    await asked;
    expect(after.count('health')).toBe(1);
    expect(kinds).toEqual(['connected', 'starting', 'connected']);
    expect(changes).toEqual([{ type: 'resync' }, { type: 'resync' }]);
  });

  test('when that work fails it connects all the same, and only its caller gets the error', async () => {
    const { connection, kind } = connectionTo(async () => healthy());
    const worked = connection.without(() => Promise.reject(new CwmError('EncryptionKey', 'Others may read the key.')));
    const asked = connection.call('health', {});
    await expect(worked).rejects.toMatchObject({ code: 'CWM-8003' });
    await expect(asked).resolves.toEqual(healthAnswer);
    expect(kind()).toBe('connected');
  });

  test('what the work gave stands when no backend can be reached afterwards; the state says so', async () => {
    const { connection, state } = connectionTo(async () =>
      Promise.reject(new CwmError('BackendUnavailable', 'None came up.')),
    );
    expect(await connection.without(async () => 'done')).toBe('done');
    expect(state.current.connection).toMatchObject({ kind: 'failed', error: { code: 'CWM-5010' } });
  });

  test('two such works are done one after another', async () => {
    const { connection } = connectionTo(async () => healthy());
    const steps: string[] = [];
    const first = Promise.withResolvers<void>();
    const both = [
      connection.without(async () => {
        await first.promise;
        steps.push('first');
      }),
      connection.without(async () => steps.push('second')),
    ];
    first.resolve();
    await Promise.all(both);
    expect(steps).toEqual(['first', 'second']);
  });

  test('after the end of the extension nothing is started any more', async () => {
    const started = Promise.withResolvers<Backend>();
    const late = healthy();
    const { connection } = connectionTo(() => started.promise);
    const opened = connection.open();
    connection.dispose();
    started.resolve(late);
    await expect(opened).rejects.toMatchObject({ code: 'CWM-6003' });
    await expect(connection.open()).rejects.toMatchObject({ code: 'CWM-6003' });
    await expect(connection.without(async () => 'done')).rejects.toMatchObject({ code: 'CWM-6003' });
    expect(late.disposed).toBe(true);
  });
});
