import { after, before, describe, it } from 'mocha';
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { commands } from 'vscode';
import { currentSession, done, refused, set, state, until, useFreshStorage } from './support.ts';

/** A server that answers 500 to everything. */
const brokenServer = (): Promise<Server> =>
  new Promise((resolve) => {
    const server = createServer((_, response) => response.writeHead(500).end('out of order'));
    server.listen(0, '127.0.0.1', () => resolve(server));
  });

describe('an engine that is not there', function () {
  this.timeout(180_000);
  let storage: Awaited<ReturnType<typeof useFreshStorage>>;
  let session = '';

  before(async () => {
    storage = await useFreshStorage();
    await set('cwm.engine', 'http://127.0.0.1:9');
    session = (await done('cwm.newSession', { title: 'lost' })).id;
  });
  after(async () => {
    await set('cwm.engine', undefined);
    await storage.remove();
  });

  it('a message is refused with CWM-5001, kept as a draft, and the session is idle again', async () => {
    assert.equal(await refused('cwm.send', { session, text: 'Anybody there?' }), 'CWM-5001');
    await until('the session to be idle with its draft', () => {
      const session = currentSession();
      return session?.phase === 'Idle' && session.draft === 'Anybody there?';
    });
  });

  it('the views say that the engine is down; nothing else is lost', async () => {
    await until('the engine to be shown as down', () => state().engine.kind === 'down');
    assert.equal(state().connection.kind, 'connected');
  });

  it('a server that answers 500 is an engine that failed, not a hang', async () => {
    const server = await brokenServer();
    try {
      const { port } = server.address() as AddressInfo;
      await set('cwm.engine', `http://127.0.0.1:${port}`);
      const other = (await done('cwm.newSession', { title: 'broken' })).id;
      assert.match(await refused('cwm.send', { session: other, text: 'x' }), /^CWM-500[145]$/);
    } finally {
      server.close();
    }
  });

  it('a name that is no engine at all is refused when the session is made', async () => {
    await set('cwm.engine', 'ftp://somewhere');
    assert.equal(await refused('cwm.newSession', { title: 'x' }), 'CWM-1003');
  });

  it('a storage directory that cannot be written is a clear error, and no command hangs', async () => {
    // Below a file no folder can be made, not even by root.
    await set('cwm.storageDirectory', path.join(storage.path, 'store.json', 'below'));
    await until('the old storage to be let go', () => state().connection.kind === 'idle');
    assert.match(await refused('cwm.newSession', { title: 'x' }), /^CWM-(4001|5010)$/);
    const status: unknown = await commands.executeCommand('cwm.status', {});
    assert.deepEqual(status, { kind: 'done', value: undefined });
    await set('cwm.storageDirectory', storage.path);
  });
});
