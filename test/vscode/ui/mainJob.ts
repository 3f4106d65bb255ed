import assert from 'node:assert/strict';
import { artifactPath } from '../harness/artifacts.ts';
import { waitUntil } from '../harness/waitUntil.ts';
import type { Workbench } from '../harness/workbench.ts';
import { foundHere } from './foundHere.ts';
import { engineOfSession, enginePid } from './engineProcess.ts';
import { silentServer } from './silentServer.ts';
import type { Step } from './steps.ts';
import { isRunning } from '../../support/isRunning.ts';

/** On a busy machine the engine's first start and a prefill take their time. */
const workMs = 90_000;
const view = 'Context Windows';

/** Changes settings from outside, as a user who edits the file. */
export type ChangeSettings = (settings: Readonly<Record<string, unknown>>) => Promise<void>;

/** The main job as a user does it: prime, send, freeze, lose the engine, thaw, and read what was really reused. */
export function mainJob(workbench: Workbench, storage: string, changeSettings: ChangeSettings): Step[] {
  const { quickInput, page } = workbench;
  const tree = workbench.tree(view);
  const shot = (name: string): Promise<void> => workbench.screenshot(artifactPath(`ui-${name}.png`));
  return [
    {
      title: 'V3 the status bar is there before anything was done',
      async run() {
        await workbench.statusBar('Context Windows');
        await workbench.openView(view);
        await page.locator('.pane-body', { hasText: 'This folder has no sessions yet' }).waitFor();
        await shot('1-welcome');
      },
    },
    {
      title: 'a server and a model file of this machine are found, and one choice shows its first receipt',
      async run() {
        await workbench.runCommand('Context Windows: Choose Model Server…');
        for (const found of [foundHere.server, foundHere.file]) {
          await page.locator('.quick-input-list .monaco-list-row', { hasText: found }).first().waitFor();
        }
        await shot('1-choose-server');
        await quickInput.pick('Generated model');
        await workbench.notification('New sessions use embedded. Its first receipt: Proven', workMs);
        await workbench.clearNotifications();
      },
    },
    {
      title: 'V1 a new session is made from the palette and is the current one',
      async run() {
        await workbench.runCommand('Context Windows: New Session');
        await quickInput.fill('orchard', 'New Session');
        await workbench.statusBar('orchard 0', workMs);
        await tree.waitFor('orchard');
      },
    },
    {
      title:
        'workspace files are offered with their folders and given to the model, those that git or VS Code leaves out are not',
      async run() {
        await workbench.runCommand('Context Windows: Add Files to Context');
        await page.locator('.quick-input-list .monaco-list-row', { hasText: 'src/' }).first().waitFor();
        assert.ok(
          !(await quickInput.labels()).some((label) => label.includes('secret.txt') || label.includes('node_modules')),
        );
        await page
          .locator('.quick-input-check-all, .quick-input-widget .quick-input-header .monaco-checkbox')
          .first()
          .click();
        await shot('2-prime');
        await page.keyboard.press('Enter');
        const done = await workbench.notification('Added ', workMs);
        assert.match(done, /^Added 5 files \(.+\) to the context: [\d,]+ tokens/);
        await workbench.clearNotifications();
      },
    },
    {
      title: 'the answer to a message is shown beside, as it arrives',
      async run() {
        await workbench.runCommand('Context Windows: Send Message');
        await quickInput.fill('How many plums are ripe?', 'Send to "orchard"');
        const view = await workbench.webviewWith('article.user >> text=How many plums are ripe?', workMs);
        await view.locator('article.model[data-key]:not([aria-busy]) .markdown >> nth=-1').waitFor({ timeout: workMs });
        await view.locator('article.user .markdown', { hasText: 'How many plums are ripe?' }).waitFor();
        await shot('3-conversation');
      },
    },
    {
      title: 'a name that is against the rules is refused while it is typed',
      async run() {
        await workbench.runCommand('Context Windows: Freeze');
        await quickInput.type('no spaces please', 'Freeze');
        await quickInput.waitForMessage(/other than letters, digits/);
        await quickInput.cancel();
      },
    },
    {
      title: 'V1 freezing from the palette says what was kept',
      async run() {
        await workbench.runCommand('Context Windows: Freeze');
        await quickInput.fill('before-lunch', 'Freeze');
        await workbench.notification('before-lunch', workMs);
        await workbench.statusBar(/before-lunch [\d.]+K\//, workMs);
        await tree.expand('orchard');
        await tree.waitFor('before-lunch');
        await shot('4-frozen');
        await workbench.clearNotifications();
      },
    },
    {
      title: 'the engine is killed',
      async run() {
        const pid = await enginePid(storage);
        process.kill(pid, 'SIGKILL');
        await waitUntil('the engine to be gone', () => (isRunning(pid) ? undefined : true));
      },
    },
    {
      title: 'V2 thawing from the menu of the tree proves the reuse, and the status bar says so',
      async run() {
        await tree.chooseMenuItem('before-lunch', 'Thaw');
        await workbench.notification('before-lunch: Proven', workMs);
        const bar = await workbench.statusBar(/before-lunch .* proven/, workMs);
        assert.match(bar, /before-lunch [\d.]+K\/[\d.]+K proven$/);
        await waitUntil('the tree to show the verdict', async () =>
          (await tree.texts()).some((text) => /before-lunch .*· proven$/.test(text)) ? true : undefined,
        );
        await shot('5-thawed');
      },
    },
    {
      title: 'the receipt reads in plain words with its evidence',
      async run() {
        await workbench.answerNotification('before-lunch: Proven', 'Show Receipt');
        const shown = async (): Promise<string | undefined> => {
          const text = await workbench.editorText().catch(() => '');
          return text.includes('Verdict: proven') ? text : undefined;
        };
        const text = await waitUntil('the receipt', shown);
        assert.match(text, /Block checksums +agreed/);
        // Highlighted: some word has another colour than plain text.
        await page
          .locator('.editor-group-container.active .view-line .mtkb, .editor-group-container.active .view-line .mtk4')
          .first()
          .waitFor();
        await shot('6-receipt');
      },
    },
    {
      title: 'the doctor answers with a table',
      async run() {
        await workbench.runCommand('Context Windows: Doctor');
        await workbench.webviewWith('table td', workMs);
        await shot('7-doctor');
      },
    },
    {
      title: 'a name that is taken is a message with its code, and a button that helps',
      async run() {
        await workbench.clickStatusBar(/before-lunch/);
        await quickInput.pick('Freeze');
        await quickInput.fill('before-lunch', 'Freeze');
        assert.match(await workbench.notification('CWM-3003', workMs), /^Freeze: .*\(CWM-3003\) .+/);
        await shot('8-refused');
        await workbench.answerNotification('CWM-3003', 'List Windows');
        await quickInput.type('before', 'Windows');
        await quickInput.cancel();
      },
    },
    {
      title: 'an engine that never answers is given up with the Cancel button, and nothing is lost',
      async run() {
        const engine = await silentServer();
        try {
          await changeSettings({ 'cwm.engine': engine.url });
          // VS Code notices a changed file a moment later.
          const onSilentEngine = async (): Promise<true | undefined> => {
            await workbench.runCommand('Context Windows: New Session');
            await quickInput.fill('stuck', 'New Session');
            await workbench.statusBar('stuck 0', workMs);
            return (await engineOfSession(storage, 'stuck')) === engine.url ? true : undefined;
          };
          await waitUntil('a session on the other engine', onSilentEngine, { timeoutMs: workMs });
          await workbench.runCommand('Context Windows: Send Message');
          await quickInput.fill('Anybody there?', 'Send to "stuck"');
          await workbench.answerNotification('Waiting for the answer in "stuck"', 'Cancel', workMs);
          await workbench.statusBar('stuck 0', workMs);
          await workbench.runCommand('Context Windows: Send Message');
          await quickInput.type('Anybody there?!', 'Send to "stuck"');
          await quickInput.cancel();
          await changeSettings({ 'cwm.engine': 'embedded' });
          await workbench.runCommand('Context Windows: Switch Project or Session');
          await quickInput.pick('orchard');
          await workbench.statusBar(/before-lunch .* proven/, workMs);
        } finally {
          engine.close();
        }
      },
    },
    {
      title: 'V4 after a reload of the window the session is the current one, without any command',
      async run() {
        await workbench.reload();
        await workbench.statusBar(/before-lunch [\d.]+K\/[\d.]+K proven/, workMs);
        await tree.waitFor('orchard');
        await shot('9-reloaded');
      },
    },
  ];
}
