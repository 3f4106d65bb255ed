import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { artifactPath } from '../harness/artifacts.ts';
import { waitUntil } from '../harness/waitUntil.ts';
import type { Workbench } from '../harness/workbench.ts';
import type { Step } from './steps.ts';

const workMs = 90_000;

/** In a folder that the user does not trust, and whose configuration names a model server that does not exist. */
export function restricted(workbench: Workbench, storage: string): Step[] {
  const { quickInput, page } = workbench;
  const checkpoints = (): string[] => globSync('**/checkpoint.json', { cwd: storage });
  const restrictedMode = page.locator('.part.statusbar .statusbar-item', { hasText: 'Restricted Mode' });
  const say = async (text: string): Promise<void> => {
    await workbench.runCommand('Context Windows: Send Message');
    await quickInput.fill(text, 'Send to "orchard"');
    const view = await workbench.webviewWith(`article.user >> text=${text}`, workMs);
    await view.locator('article.model[data-key]:not([aria-busy]) .markdown >> nth=-1').waitFor({ timeout: workMs });
  };
  return [
    {
      title:
        'V4 in Restricted Mode the extension starts, and the folder chooses no model server: a message is answered',
      async run() {
        await restrictedMode.waitFor();
        await workbench.statusBar('Context Windows', workMs);
        await workbench.runCommand('Context Windows: New Session');
        await quickInput.fill('orchard', 'New Session');
        await workbench.statusBar('orchard 0', workMs);
        await say('How many plums are ripe?');
        await workbench.screenshot(artifactPath('ui-restricted.png'));
      },
    },
    {
      title: 'nothing of it is saved without being asked when its window closes',
      async run() {
        await workbench.reload();
        await workbench.statusBar(/orchard [\d.]+K?\//, workMs);
        await restrictedMode.waitFor();
        assert.deepEqual(checkpoints(), []);
      },
    },
    {
      title: 'once the user trusts the folder, what was said is saved when the window closes',
      async run() {
        await workbench.runCommand('Workspaces: Manage Workspace Trust');
        const trust = page.locator('.workspace-trust-editor .monaco-button', { hasText: /^Trust$/ }).first();
        await trust.click();
        await restrictedMode.waitFor({ state: 'hidden' });
        await say('And how many pears?');
        await workbench.reload();
        await workbench.statusBar(/orchard [\d.]+K?\//, workMs);
        await waitUntil('the checkpoint', async () => (checkpoints().length > 0 ? true : undefined), {
          timeoutMs: workMs,
        });
      },
    },
  ];
}
