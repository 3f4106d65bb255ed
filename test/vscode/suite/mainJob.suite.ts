import { after, before, describe, it } from 'mocha';
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { workspace } from 'vscode';
import { documentUri } from '../../../src/vscode/documents/documentUri.ts';
import { statusBarView } from '../../../src/vscode/render/statusBarView.ts';
import {
  currentSession,
  backendPid,
  done,
  enginePid,
  refused,
  run,
  set,
  state,
  until,
  useFreshStorage,
} from './support.ts';
import { isRunning } from '../../support/isRunning.ts';

const workMs = 120_000;
const trashItem = (storage: string, name: string): string | undefined =>
  readdirSync(`${storage}/trash`).find((item) => item.includes(name));
const readme = (): string => `${workspace.workspaceFolders?.[0]?.uri.fsPath}/README.md`;

/** Builds on the test before it, as a user's day does. */
describe('the main job in the editor', function () {
  this.timeout(workMs);
  let storage: Awaited<ReturnType<typeof useFreshStorage>>;
  let session = '';

  before(async () => {
    storage = await useFreshStorage();
    await set('cwm.embedded.threads', 1);
    await set('cwm.answer.maxTokens', 8);
  });
  after(() => storage.remove());

  it('a new session belongs to the open folder and is its current one', async () => {
    const created = await done('cwm.newSession', { title: 'orchard' });
    session = created.id;
    assert.match(created.project ?? '', /^file:\/\/\//);
    assert.deepEqual(state().project, { kind: 'folder', uri: created.project, name: 'orchard' });
    assert.equal(currentSession()?.id, session);
  });

  it('an empty session is not frozen: it has nothing to keep', async () => {
    assert.match(await refused('cwm.freeze', { session, name: 'empty' }), /^CWM-1\d{3}$/);
  });

  it('files are given to the model, and what it answers is in the conversation', async () => {
    const primed = await done('cwm.prime', { session, paths: [readme()] });
    assert.deepEqual(
      primed.files.map(({ path }) => path),
      ['README.md'],
    );
    const answer = await done('cwm.send', { session, text: 'What grows here?' });
    assert.ok(answer.outputIds.length > 0);
    const document = await workspace.openTextDocument(documentUri('conversation', 'orchard', session));
    assert.equal(document.languageId, 'markdown');
    await until('the conversation to be whole', () => document.getText().includes('What grows here?'));
    assert.ok(document.getText().includes('README.md'));
  });

  it('S0-02 freezing keeps a window, and the status bar shows its name, fill and verdict', async () => {
    const receipt = await done('cwm.freeze', { session, name: 'before-lunch' });
    assert.equal(receipt.operation, 'freeze');
    assert.match(statusBarView(state()).text, /^\$\(archive\) orchard · before-lunch [\d.]+K?\/[\d.]+K/);
  });

  it('S0-04 a frozen session is not frozen twice, and a taken name is refused', async () => {
    assert.equal(await refused('cwm.freeze', { session, name: 'again' }), 'CWM-3002');
  });

  it('S0-11 a clone writes no KV', async () => {
    const receipt = await done('cwm.clone', { window: 'before-lunch', target: 'fork' });
    assert.equal(receipt.kvBytesWritten, 0);
    assert.equal(await refused('cwm.clone', { window: 'before-lunch', target: 'fork' }), 'CWM-3003');
  });

  it('S0-05 a thaw after the engine was killed is proven, and its session is the current one', async () => {
    const pid = await enginePid();
    process.kill(pid, 'SIGKILL');
    await until('the engine to be gone', () => !isRunning(pid));
    const receipt = await done('cwm.thaw', { window: 'before-lunch' });
    assert.equal(receipt.verdict, 'proven');
    assert.equal(receipt.session, session);
    assert.ok((receipt.cachedTokens ?? 0) >= (receipt.floorTokens ?? Infinity));
    assert.match(statusBarView(state()).text, /before-lunch .* proven$/);
  });

  it('the receipt is a document of its own language, in plain words first', async () => {
    await done('cwm.showReceipt', { window: 'before-lunch' });
    const document = await workspace.openTextDocument(documentUri('receipts', 'before-lunch', 'before-lunch'));
    assert.equal(document.languageId, 'cwm-receipt');
    assert.match(document.getText(), /Verdict: proven/);
  });

  it('a backend that is killed is noticed, and the next command brings everything back', async () => {
    const pid = backendPid(storage.path);
    assert.ok(pid);
    process.kill(pid, 'SIGKILL');
    await until('the loss to be shown', () => state().connection.kind === 'failed');
    assert.match(statusBarView(state()).label, /the backend is not running/);
    const receipt = await done('cwm.thaw', { window: 'fork' });
    assert.equal(receipt.verdict, 'proven');
    assert.equal(state().connection.kind, 'connected');
    await until('the sessions to be there', () => {
      const { sessions } = state();
      return sessions.kind === 'loaded' && sessions.total === 1;
    });
  });

  it('EC-002 a copy is a session of its own, and the one of the window goes on where it was', async () => {
    assert.equal(currentSession()?.activeBranch, 'fork');
    const { session: copy } = await done('cwm.thawCopy', { window: 'before-lunch' });
    assert.notEqual(copy, session);
    assert.equal(currentSession()?.title, 'Copy of orchard');
    await done('cwm.deleteSession', { session: copy, confirmed: true });
    await done('cwm.switchSession', { session });
    const answer = await done('cwm.send', { session, text: 'And here?' });
    assert.ok((answer.cachedTokens ?? 0) > 0);
  });

  it('verify, doctor and status answer', async () => {
    assert.equal((await done('cwm.verify', { window: 'before-lunch' })).healthy, true);
    assert.ok((await done('cwm.doctor', {})).findings.length > 0);
    assert.equal((await done('cwm.status', {}))?.pid, backendPid(storage.path));
  });

  it('a conversation goes into a file with its KV, and a window that is made of it is reused, never proven', async () => {
    const path = `${storage.path}/orchard.cwindow`;
    const { notes } = await done('cwm.exportConversation', { session, path, kv: true });
    assert.match(notes.join(' '), /It has the KV of [\d,]+ of [\d,]+ tokens/);
    const imported = await done('cwm.importConversation', { path, window: 'carried', kv: true });
    assert.match(imported.notes.join(' '), /Took the KV of [\d,]+ of [\d,]+ tokens/);
    assert.equal((await done('cwm.thaw', { window: 'carried' })).verdict, 'reused');
    await done('cwm.deleteSession', { session: imported.session.id, confirmed: true, cascade: true });
    await done('cwm.switchSession', { session });
  });

  it('S3-08 a session goes back to a recovery point, and forward again', async () => {
    const created = await done('cwm.newSession', { title: 'back and forth' });
    for (const text of ['One', 'Two']) await done('cwm.send', { session: created.id, text });
    const points = readdirSync(`${storage.path}/contexts/${created.id}/recovery`);
    const point = points.flatMap((name) => /^\d+-([0-9a-f]+)\.json$/.exec(name)?.[1] ?? [])[0];
    assert.ok(point);
    const back = await done('cwm.goBack', { session: created.id, point });
    assert.equal(back.restored.messages, 2);
    assert.ok(back.undo);
    const forth = await done('cwm.goBack', { session: created.id, point: back.undo });
    assert.equal(forth.restored.messages, 4);
    await done('cwm.deleteSession', { session: created.id, confirmed: true });
    await done('cwm.switchSession', { session });
  });

  it('S0-30 a session that will expire says when, and one that never does is as before', async () => {
    const expiresAt = '2999-01-31T12:00:00.000Z';
    assert.equal((await done('cwm.setExpiry', { session, expiresAt })).expiresAt, expiresAt);
    assert.equal((await done('cwm.setExpiry', { session, never: true })).expiresAt, undefined);
  });

  it('S0-50 a pinned window is no window to prune, an unpinned one goes to the trash and comes back', async () => {
    await done('cwm.pinWindow', { window: 'fork' });
    await done('cwm.pinWindow', { window: 'before-lunch' });
    assert.deepEqual((await done('cwm.prune', { keep: 0, confirmed: true })).windows, []);
    await done('cwm.unpinWindow', { window: 'fork' });
    const pruned = await done('cwm.prune', { keep: 0, confirmed: true });
    assert.deepEqual(
      pruned.windows.map(({ name }) => name),
      ['fork'],
    );
    await done('cwm.usage', {});
    const document = await workspace.openTextDocument(documentUri('usage', 'Usage'));
    assert.match(document.getText(), /\| before-lunch \|.*\| pinned \|/);
    await done('cwm.restoreFromTrash', { item: trashItem(storage.path, 'fork') });
    assert.equal((await done('cwm.thaw', { window: 'fork' })).window, 'fork');
    await done('cwm.emptyTrash', { confirmed: true });
  });

  it('what does not exist is refused with a code that says so', async () => {
    assert.equal(await refused('cwm.thaw', { window: 'nowhere' }), 'CWM-2002');
    assert.equal(await refused('cwm.showReceipt', { window: 'nowhere' }), 'CWM-2002');
    assert.equal(await refused('cwm.send', { session: 'nobody', text: 'x' }), 'CWM-2001');
    assert.equal(await refused('cwm.clone', { window: 'no spaces', target: 'x' }), 'CWM-1002');
    assert.equal(await refused('cwm.prime', { session, paths: ['/no/such/file'] }), 'CWM-2009');
  });

  it('S0-12 windows and sessions are deleted, and a session with windows only together with them', async () => {
    await done('cwm.deleteWindow', { window: 'fork', confirmed: true });
    assert.match(await refused('cwm.deleteSession', { session, confirmed: true }), /^CWM-3/);
    const deleted = await done('cwm.deleteSession', { session, confirmed: true, cascade: true });
    assert.deepEqual(deleted.deletedWindows, ['before-lunch']);
    assert.equal((await run('cwm.switchSession', { session })).kind, 'failed');
  });
});
