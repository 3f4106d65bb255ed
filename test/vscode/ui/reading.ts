import assert from 'node:assert/strict';
import type { Frame } from 'playwright-core';
import { artifactPath } from '../harness/artifacts.ts';
import { waitUntil } from '../harness/waitUntil.ts';
import type { Workbench } from '../harness/workbench.ts';
import type { ChangeSettings } from './mainJob.ts';
import type { Step } from './steps.ts';

const workMs = 90_000;
const view = 'Context Windows';
/** Markup that a page which inserted it as such would run or lose. */
const odd = 'Is a List<Plum> <img src=x onerror="document.title=1"> ripe? <script>1</script>';

/** A conversation in the reading view: it is read, written, branched, compared, and followed by eye and by keyboard. */
export function reading(workbench: Workbench, changeSettings: ChangeSettings): Step[] {
  const { quickInput, page } = workbench;
  const tree = workbench.tree(view);
  const shot = (name: string): Promise<void> => workbench.screenshot(artifactPath(`ui-reading-${name}.png`));
  let pageOfView: Frame;
  const answers = (): Promise<number> => pageOfView.locator('article.model:not([aria-busy])').count();
  const answered = (count: number): Promise<true> =>
    waitUntil(`${count} answers`, async () => ((await answers()) === count ? true : undefined), { timeoutMs: workMs });
  const press = (label: string): Promise<void> =>
    pageOfView.locator('article .actions button:visible', { hasText: label }).last().click();
  return [
    {
      title: 'a session opens from the tree as a page to read and write',
      async run() {
        await workbench.openView(view);
        await workbench.runCommand('Context Windows: New Session');
        await quickInput.fill('plums', 'New Session');
        await workbench.statusBar('plums 0', workMs);
        await tree.click('plums');
        pageOfView = await workbench.webviewWith('h1 >> text=plums', workMs);
        await pageOfView.locator('.empty', { hasText: 'There are no messages yet.' }).waitFor();
      },
    },
    {
      title: 'what is typed there is sent, text stays text whatever it says, and the answer arrives below',
      async run() {
        await pageOfView.locator('footer textarea').fill(odd);
        await page.keyboard.press('Enter');
        await answered(1);
        assert.equal(await pageOfView.locator('article.user .markdown').innerText(), odd);
        assert.equal(await pageOfView.locator('article img, article script').count(), 0);
        assert.notEqual(await pageOfView.title(), '1');
        await pageOfView.locator('[role=status]', { hasText: 'The answer is there.' }).waitFor({ state: 'attached' });
        await shot('1-answer');
      },
    },
    {
      title: 'a message that is edited is sent again on a branch, which the page and the tree show with its tokens',
      async run() {
        await press('Edit and Resend');
        await pageOfView.locator('article textarea').fill('How many plums are ripe?');
        await shot('2-edit');
        await page.keyboard.press('Enter');
        await pageOfView.locator('.facts', { hasText: 'branch branch-2, one of 2' }).waitFor({ timeout: workMs });
        await pageOfView.locator('article.user', { hasText: 'How many plums are ripe?' }).waitFor({ timeout: workMs });
        await answered(1);
        await tree.expand('plums');
        const shown = async (): Promise<true | undefined> =>
          (await tree.texts()).some((row) => /^branch-2 current · [\d,]+ tokens · shares [\d,]+ with main$/.test(row))
            ? true
            : undefined;
        await waitUntil('the branch in the tree', shown, { timeoutMs: workMs });
        await shot('3-branch');
      },
    },
    {
      title: 'another answer is a sibling, and a cut answer is continued in its place',
      async run() {
        await press('Regenerate Answer');
        await pageOfView.locator('.facts', { hasText: 'branch branch-3, one of 3' }).waitFor({ timeout: workMs });
        await answered(1);
        const text = (): Promise<string> => pageOfView.locator('article.model .markdown').last().innerText();
        const before = await text();
        await press('Continue Answer');
        await waitUntil('more of the answer', async () => ((await text()).length > before.length ? true : undefined), {
          timeoutMs: workMs,
        });
        await answered(1);
      },
    },
    {
      title: 'a branch is switched to and renamed from the tree',
      async run() {
        await tree.clickAction('branch-2', 'Switch Branch');
        // VS Code names no row where it draws the tree again at that moment. The command asks for the branch then.
        const facts = pageOfView.locator('.facts', { hasText: 'branch branch-2' });
        const isThere = async (): Promise<true | undefined> => {
          if (await facts.isVisible()) return true;
          if ((await quickInput.labels()).includes('branch-2')) await quickInput.pick('branch-2');
          return undefined;
        };
        await waitUntil('the branch', isThere, { timeoutMs: workMs });
        await tree.chooseMenuItem('branch-3', 'Rename Branch');
        await quickInput.fill('siblings', 'Rename Branch');
        await tree.waitFor('siblings');
        await workbench.clearNotifications();
      },
    },
    {
      title: "two branches are compared in VS Code's diff editor",
      async run() {
        await tree.chooseMenuItem('main', 'Compare with…');
        await quickInput.pick('branch-2');
        await page.locator('.monaco-diff-editor .view-line', { hasText: 'How many plums' }).first().waitFor();
        await page.locator('.tab', { hasText: 'main ↔ branch-2' }).waitFor();
        await shot('4-diff');
        await workbench.runCommand('View: Close Editor');
      },
    },
    {
      title: 'a checkpoint stands in the conversation with its receipt',
      async run() {
        await tree.click('plums');
        pageOfView = await workbench.webviewWith('h1 >> text=plums', workMs);
        await pageOfView.locator('header.session button', { hasText: 'Checkpoint' }).click();
        await quickInput.fill('half-ripe', 'Checkpoint');
        await pageOfView.locator('article.window', { hasText: 'Checkpoint half-ripe' }).waitFor({ timeout: workMs });
        await workbench.clearNotifications();
        await press('Show Receipt');
        await page.locator('.tab', { hasText: 'half-ripe' }).waitFor();
        await workbench.runCommand('View: Close Editor');
      },
    },
    {
      title: 'the keyboard walks through the messages, and every button has a name',
      async run() {
        await tree.click('plums');
        pageOfView = await workbench.webviewWith('h1 >> text=plums', workMs);
        await pageOfView.locator('article.user').first().focus();
        await page.keyboard.press('PageDown');
        const focused = (): Promise<string | undefined> =>
          pageOfView.evaluate<string | undefined>('document.activeElement.className');
        assert.equal(await focused(), 'model');
        await page.keyboard.press('Control+End');
        assert.equal(
          await pageOfView.evaluate('document.activeElement.getAttribute("aria-label")'),
          await placeholder(),
        );
        const unnamed = await pageOfView
          .locator('button:visible')
          .evaluateAll((all) => all.filter((each) => !each.textContent));
        assert.equal(unnamed.length, 0);
      },
    },
    {
      title: 'the page has the colours of each theme',
      async run() {
        for (const [name, theme] of themes) {
          await changeSettings({ 'workbench.colorTheme': theme });
          await page.locator(`.monaco-workbench.${name}`).waitFor();
          await pageOfView.locator('body').first().waitFor();
          await page.waitForTimeout(500);
          await shot(`theme-${name}`);
        }
        await changeSettings({});
      },
    },
    {
      title: 'a deleted branch leaves the tree, and a deleted session leaves the page with a sentence',
      async run() {
        await tree.chooseMenuItem('siblings', 'Delete Branch');
        await workbench.answerDialog('Delete the branch "siblings"?', 'Delete');
        await tree.row('siblings').waitFor({ state: 'hidden' });
        await tree.chooseMenuItem('plums', 'Delete Session');
        await workbench.answerDialog('Delete session "plums"?', 'Delete with Windows');
        await pageOfView.locator('.empty', { hasText: 'This session was deleted.' }).waitFor({ timeout: workMs });
        await workbench.clearNotifications();
        await workbench.runCommand('View: Close All Editors');
        if ((await tree.texts()).some((row) => row.startsWith('before-lunch'))) {
          await workbench.runCommand('Context Windows: Switch Project or Session');
          await quickInput.pick('orchard');
          await workbench.statusBar('before-lunch', workMs);
        }
      },
    },
  ];

  function placeholder(): Promise<string | null> {
    return pageOfView.locator('footer textarea').getAttribute('placeholder');
  }
}

const themes = [
  ['vs', 'Light Modern'],
  ['hc-black', 'Default High Contrast'],
  ['hc-light', 'Default High Contrast Light'],
  ['vs-dark', 'Dark Modern'],
] as const;
