import { before, describe, it } from 'mocha';
import assert from 'node:assert/strict';
import { workspace } from 'vscode';
import { currentSession, done, extension, showsFolders, state, until, workIn } from './support.ts';
import { toldFolders } from '../folders.ts';

/** The window opens on the first of these folders; the others are worked in one after another. */
describe('folders that are opened again', function () {
  this.timeout(120_000);
  const { folders } = toldFolders();

  before(async () => {
    if (workspace.workspaceFile) await showsFolders(folders.length);
    await until('the extension to start by itself', () => extension().isActive);
  });

  for (const [at, { name, folder }] of folders.entries()) {
    it(`S0-16 S2-16 V4 ${name} is warm without a command, proven, and its next answer reuses all that it can`, async () => {
      if (at > 0) await workIn(folder);
      const session = await until(`the session of ${name}`, () => {
        const current = currentSession();
        return current?.id === name && current;
      });
      const receipt = await until('the receipt of its KV', () => state().receipts.get(name), 60_000);
      assert.equal(receipt.verdict, 'proven', JSON.stringify(receipt));
      assert.equal(receipt.tokens, session.tokens?.count);
      const floor = receipt.floorTokens ?? Infinity;
      assert.ok((receipt.cachedTokens ?? 0) >= floor, JSON.stringify(receipt));
      const answer = await done('cwm.send', { session: name, text: 'And what comes next?' });
      assert.ok((answer.cachedTokens ?? 0) >= floor, `${answer.cachedTokens} of at least ${floor}`);
      console.log(`${name}: ${answer.cachedTokens} of ${session.tokens?.count} tokens reused`);
    });
  }
});
