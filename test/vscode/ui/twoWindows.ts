import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { readBackendRecord } from '../../../src/client/backendRecord.ts';
import { artifactPath } from '../harness/artifacts.ts';
import { waitUntil } from '../harness/waitUntil.ts';
import type { Workbench } from '../harness/workbench.ts';
import type { Step } from './steps.ts';
import { isRunning } from '../../support/isRunning.ts';

const workMs = 90_000;
const view = 'Context Windows';
const cli = path.join(import.meta.dirname, '../../../src/cli/main.ts');

/** Two windows of VS Code and the command line on one storage directory, after the main job was done in the first of them. */
export function twoWindows(first: Workbench, openSecond: () => Promise<Workbench>, storage: string): Step[] {
  const cwm = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)(process.execPath, [cli, ...args, '--storage', storage])).stdout;
  const backendPid = async (): Promise<number> => {
    const record = await readBackendRecord(storage);
    assert.ok(record, 'a backend is running');
    return record.pid;
  };
  let second: Workbench;
  const inBoth = async (label: string): Promise<void> => {
    for (const workbench of [first, second]) await workbench.tree(view).waitFor(label);
  };
  return [
    {
      title: 'a second window on another folder finds what the first one made, in the same backend',
      async run() {
        const pid = await backendPid();
        second = await openSecond();
        // Its extension starts later than its window is drawn, and the command is offered from then on.
        await second.statusBar('Context Windows', workMs);
        await second.openView(view);
        await second.page.locator('.pane-body', { hasText: 'This folder has no sessions yet' }).waitFor();
        await second.runCommand('Context Windows: Show Sessions of All Folders');
        // The project's row, and the session's in it.
        await second.tree(view).expand('orchard', 1);
        await second.tree(view).expand('orchard', 2);
        await second.tree(view).waitFor('before-lunch');
        await first.tree(view).expand('orchard');
        assert.equal(await backendPid(), pid);
      },
    },
    {
      title: 'a clone that is made on the command line appears in both, without a refresh',
      async run() {
        await cwm('clone', 'before-lunch', 'from-the-cli');
        await inBoth('from-the-cli');
        await second.screenshot(artifactPath('ui-10-second-window.png'));
      },
    },
    {
      title: 'after kill -9 of the backend all three go on, with one new backend and nothing lost',
      async run() {
        const killed = await backendPid();
        process.kill(killed, 'SIGKILL');
        await waitUntil('the backend to be gone', () => (isRunning(killed) ? undefined : true));
        await Promise.all([
          cwm('clone', 'before-lunch', 'after-the-kill'),
          first.runCommand('Context Windows: Refresh'),
          second.runCommand('Context Windows: Refresh'),
        ]);
        await inBoth('after-the-kill');
        await inBoth('from-the-cli');
        assert.notEqual(await backendPid(), killed);
        // Ends with 1 when anything is not as it was written.
        await cwm('verify');
      },
    },
    {
      title: 'a window that is deleted in one is gone in the other',
      async run() {
        await second.tree(view).chooseMenuItem('after-the-kill', 'Delete Window');
        await second.answerDialog('Delete window "after-the-kill"?', 'Delete');
        const gone = async (): Promise<true | undefined> =>
          (await first.tree(view).texts()).some((text) => text.includes('after-the-kill')) ? undefined : true;
        await waitUntil('the row to go', gone, { timeoutMs: workMs });
      },
    },
  ];
}
