import assert from 'node:assert/strict';
import type { Frame } from 'playwright-core';
import { artifactPath } from '../harness/artifacts.ts';
import type { Workbench } from '../harness/workbench.ts';
import { asking } from './engineProcess.ts';
import type { Step } from './steps.ts';

const workMs = 90_000;
const view = 'Context Windows';
/** Of the prompt; a few exchanges fill it. */
const limitTokens = 1024;
const exchanges = 12;
const plum = 'The plum on the third branch is ripe, and the one beside it will be tomorrow.';

/** A conversation that is longer than its limit, in the view of its memory: read, pinned and brought back by eye and by keyboard. */
export function remembering(workbench: Workbench, storage: string): Step[] {
  const tree = workbench.tree(view);
  const shot = (name: string): Promise<void> => workbench.screenshot(artifactPath(`ui-memory-${name}.png`));
  let memory: Frame;
  const said = (text: string): Promise<void> =>
    memory.locator('[role=status]', { hasText: text }).waitFor({ state: 'attached', timeout: workMs });
  return [
    {
      title:
        'S1-80 a conversation longer than its limit opens in the view of its memory: what the prompt has, what left, and each turn',
      async run() {
        await workbench.openView(view);
        await workbench.runCommand('Context Windows: New Session');
        await workbench.quickInput.fill('damsons', 'New Session');
        await workbench.statusBar('damsons 0', workMs);
        for (const picks of [
          ['Virtual Memory', 'on'],
          ['Eviction Policy', 'kv-aware'],
        ]) {
          await tree.chooseMenuItem('damsons', 'Session Settings…');
          for (const label of picks) await workbench.quickInput.pick(label);
        }
        await asking(storage, async (backend) => {
          const { items } = await backend.call('listSessions', { search: 'damsons' });
          const { id: session = '', settings } = items[0] ?? {};
          assert.deepEqual(settings?.memory, { enableVm: true, policy: 'kv-aware' });
          await backend.call('updateSession', { session, memory: { ...settings.memory, maxL0Tokens: limitTokens } });
          for (let round = 0; round < exchanges; round++) {
            await backend.call('send', { session, text: `${round}: ${plum.repeat(2)}`, maxTokens: 24 });
          }
        });
        await tree.chooseMenuItem('damsons', 'Memory of This Session');
        memory = await workbench.webviewWith('h1 >> text=Memory: damsons', workMs);
        await memory.locator('li, p', { hasText: 'Summary' }).first().waitFor({ timeout: workMs });
        await shot('1-view');
        const text = await memory.locator('body').innerText();
        assert.match(text, /No Longer in the Prompt/);
        assert.match(text, /Reused so far: \d+/);
        assert.equal(await memory.locator('table tbody tr').count(), exchanges);
      },
    },
    {
      title:
        'S1-47 a page that left opens with its whole text, and comes back by its button, which the keyboard reaches',
      async run() {
        const page = memory.locator('details', { hasText: /\[user\].*stored/s }).first();
        await page.locator('summary').focus();
        await workbench.page.keyboard.press('Enter');
        await page.locator('pre', { hasText: plum }).waitFor({ timeout: workMs });
        await shot('2-page');
        await page.locator('button', { hasText: 'Bring Back' }).focus();
        await workbench.page.keyboard.press('Enter');
        await said('is in the prompt again');
        await shot('3-back');
      },
    },
  ];
}
