import { before, describe, it } from 'mocha';
import assert from 'node:assert/strict';
import path from 'node:path';
import { currentSession, done, set, showsFolders, state, until, workIn } from './support.ts';
import { toldFolders } from '../folders.ts';

/** What the user did before the crash. The window closes with the last test. */
describe('one window with several folders', function () {
  this.timeout(120_000);
  const { folders } = toldFolders();

  before(() => showsFolders(folders.length));

  for (const { name, folder, engine, text } of folders) {
    it(`a conversation in ${name} is that folder's`, async () => {
      await workIn(folder);
      await until('the current session of the folder to be known', () => state().currentSession.kind !== 'unknown');
      assert.equal(currentSession(), undefined);
      await set('cwm.engine', engine);
      const session = await done('cwm.newSession', { id: name, title: name });
      await done('cwm.send', { session: session.id, text });
      await until('the session to be the current one', () => currentSession()?.tokens?.count);
      assert.match(currentSession()?.project ?? '', new RegExp(`/${path.basename(folder)}$`));
    });
  }
});
