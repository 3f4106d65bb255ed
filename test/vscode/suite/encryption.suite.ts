import { after, before, describe, it } from 'mocha';
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { workspace } from 'vscode';
import { documentUri } from '../../../src/vscode/documents/documentUri.ts';
import type { State } from '../../../src/vscode/state.ts';
import { filesHolding } from '../../support/filesHolding.ts';
import { backendPid, done, refused, run, set, state, until, useFreshStorage } from './support.ts';

const planted = 'The medlars are not ripe before the frost';

/** Notes every connection state while `work` runs. */
async function connectionsDuring(work: Promise<unknown>): Promise<Set<State['connection']['kind']>> {
  const seen = new Set<State['connection']['kind']>();
  const timer = setInterval(() => seen.add(state().connection.kind), 5);
  await work.finally(() => clearInterval(timer));
  return seen;
}

/** Builds on the test before it. */
describe('S0-61 encryption of the storage', function () {
  this.timeout(120_000);
  let storage: Awaited<ReturnType<typeof useFreshStorage>>;
  let keys = '';
  let keyFile = '';
  let session = '';

  before(async () => {
    storage = await useFreshStorage();
    keys = mkdtempSync(path.join(tmpdir(), 'cwm-keys-'));
    keyFile = path.join(keys, 'of the store', 'store.key');
    await set('cwm.embedded.threads', 1);
    await set('cwm.answer.maxTokens', 8);
    session = (await done('cwm.newSession', { title: 'orchard' })).id;
    await done('cwm.send', { session, text: planted });
  });
  after(async () => {
    await storage.remove();
    rmSync(keys, { recursive: true, force: true });
  });

  it('a key that others may read is refused with its code, and the work goes on without encryption', async () => {
    const open = path.join(keys, 'open.key');
    writeFileSync(open, `${'ab'.repeat(32)}\n`);
    chmodSync(open, 0o644);
    assert.equal(await refused('cwm.encryptStorage', { keyFile: open, confirmed: true }), 'CWM-8003');
    assert.equal(state().connection.kind, 'connected');
    assert.notDeepEqual(filesHolding(planted, storage.path), []);
  });

  it('everything is encrypted by another backend, and no failure is shown meanwhile', async () => {
    const pid = backendPid(storage.path);
    const encrypting = done('cwm.encryptStorage', { keyFile, confirmed: true });
    const seen = await connectionsDuring(encrypting);
    const { changed, keyId } = await encrypting;
    assert.equal(changed, true);
    assert.match(keyId ?? '', /^[0-9a-f]{16}$/);
    assert.ok(seen.has('starting') && !seen.has('failed'), [...seen].join(', '));
    assert.notEqual(backendPid(storage.path), pid);
    assert.deepEqual(filesHolding(planted, storage.path), []);
    assert.equal((await done('cwm.encryptStorage', { keyFile, confirmed: true })).changed, false);
  });

  it('the session goes on, and the status names the key', async () => {
    await done('cwm.send', { session, text: `${planted}!` });
    await done('cwm.freeze', { session, name: 'winter' });
    assert.deepEqual(filesHolding(planted, storage.path), []);
    await done('cwm.status', {});
    const document = await workspace.openTextDocument(documentUri('status', 'Status'));
    await until('the status to name the key', () => document.getText().includes('- Encrypted: with key '));
  });

  it('a backend that starts by itself finds the key; one that cannot says so, and nothing is lost', async () => {
    process.kill(backendPid(storage.path) ?? Number.NaN, 'SIGKILL');
    await until('the loss to be shown', () => state().connection.kind === 'failed');
    chmodSync(keyFile, 0o644);
    assert.equal(await refused('cwm.resume', { session }), 'CWM-8003');
    const { connection } = state();
    assert.equal(connection.kind === 'failed' && connection.error.code, 'CWM-8003');
    chmodSync(keyFile, 0o600);
    await done('cwm.resume', { session });
    const document = await workspace.openTextDocument(documentUri('conversation', 'orchard', session));
    await until('the conversation to be whole', () => document.getText().includes(`${planted}!`));
    assert.deepEqual(filesHolding(planted, storage.path), []);
  });

  it('a command that is given while the storage is decrypted is answered when that is done', async () => {
    const decrypting = run('cwm.decryptStorage', { confirmed: true });
    await until('the backend to be let go', () => state().connection.kind === 'starting');
    await done('cwm.send', { session, text: 'And after the frost?' });
    const decrypted = await decrypting;
    assert.deepEqual(decrypted, { kind: 'done', value: { state: 'off', keyId: null, keyFile: null, changed: true } });
    assert.notDeepEqual(filesHolding(planted, storage.path), []);
    assert.equal((await done('cwm.decryptStorage', {})).changed, false);
  });
});
