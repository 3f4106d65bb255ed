import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { filesHolding } from '../../support/filesHolding.ts';
import { artifactPath } from '../harness/artifacts.ts';
import type { Workbench } from '../harness/workbench.ts';
import type { Step } from './steps.ts';

const workMs = 90_000;
const view = 'Context Windows';
const cli = path.join(import.meta.dirname, '../../../src/cli/main.ts');

/** Encryption as a user turns it on and off, while another window is open on the same storage directory. */
export function encryption(first: Workbench, second: () => Workbench, storage: string, keyFile: string): Step[] {
  const asked = (): string[] => filesHolding('How many plums are ripe?', storage);
  const cloneAppearsInBoth = async (name: string): Promise<void> => {
    await promisify(execFile)(process.execPath, [cli, 'clone', 'before-lunch', name, '--storage', storage]);
    for (const workbench of [first, second()]) await workbench.tree(view).waitFor(name);
  };
  return [
    {
      title: 'S0-61 the storage is encrypted from the palette, and both windows go on without a command',
      async run() {
        assert.notDeepEqual(asked(), []);
        await first.runCommand('Context Windows: Encrypt Storage…');
        await first.screenshot(artifactPath('ui-11-encrypt.png'));
        await first.answerDialog('Encrypt the storage?', 'Choose Key File…');
        await first.quickInput.fill(keyFile, 'Encrypt Storage…');
        const told = await first.notification('The storage is now encrypted', workMs);
        assert.ok(told.includes(keyFile));
        await first.screenshot(artifactPath('ui-12-encrypted.png'));
        await first.answerNotification('The storage is now encrypted', 'Copy Path');
        assert.deepEqual(asked(), []);
        await cloneAppearsInBoth('while-encrypted');
      },
    },
    {
      title: 'S0-61 it is decrypted again, and both go on',
      async run() {
        await first.runCommand('Context Windows: Decrypt Storage…');
        await first.answerDialog('Decrypt the storage?', 'Decrypt');
        await first.notification('The storage is no longer encrypted', workMs);
        assert.notDeepEqual(asked(), []);
        await cloneAppearsInBoth('after-decryption');
      },
    },
  ];
}
