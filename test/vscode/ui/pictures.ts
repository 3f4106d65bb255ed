import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { artifactPath } from '../harness/artifacts.ts';
import { waitUntil } from '../harness/waitUntil.ts';
import type { Workbench } from '../harness/workbench.ts';
import { enginePid } from './engineProcess.ts';
import { gemmaName } from './machineWithModels.ts';
import type { Step } from './steps.ts';
import { isRunning } from '../../support/isRunning.ts';

/** A real model on one thread of a busy machine. */
const workMs = 600_000;
const view = 'Context Windows';

/** Where a picture of the documentation is written before somebody looked at it. */
export const pictureFile = (name: string): string => artifactPath(`picture-${name}.png`);

/** The way from the choice of a model server to the receipt with real servers and a real model, and the documentation's pictures of it. */
export function pictures(workbench: Workbench, storage: string): Step[] {
  const { quickInput, page } = workbench;
  const tree = workbench.tree(view);
  const shot = (name: string): Promise<void> => workbench.screenshot(pictureFile(name));
  const rows = page.locator('.quick-input-list .monaco-list-row');
  const openChoice = async (): Promise<void> => {
    await workbench.runCommand('Context Windows: Choose Model Server…');
    await rows.filter({ hasText: gemmaName }).first().waitFor({ timeout: workMs });
  };
  return [
    {
      title: 'the choice of a model server lists both servers that answer and the three model files of other programs',
      async run() {
        await workbench.openView(view);
        await openChoice();
        // A hover would hide a part of the list.
        await page.mouse.move(900, 700);
        await page.locator('.workbench-hover').first().waitFor({ state: 'hidden' });
        const labels = await quickInput.labels();
        const expected = [RegExp(`^${gemmaName}$`), /^random-llama-Q5_1$/];
        for (const label of [...expected, /^example_random-llama-wide-Q5_1$/, /^Generated model$/, /^Another…$/]) {
          assert.ok(
            labels.some((one) => label.test(one)),
            `${String(label)} in ${labels.join(', ')}`,
          );
        }
        assert.equal(labels.length, 7);
        assert.ok(await rows.filter({ hasText: 'gemma-3-270m · http://127.0.0.1:8080' }).isVisible());
        assert.ok(await rows.filter({ hasText: 'random-llama · http://127.0.0.1:8000' }).isVisible());
        await shot('choose-server');
      },
    },
    {
      title: 'one choice makes it the server of new sessions and shows its first receipt',
      async run() {
        await rows.filter({ hasText: 'http://127.0.0.1:8080' }).click();
        const said = await workbench.notification('Its first receipt', workMs);
        assert.match(said, /^New sessions use http:\/\/127\.0\.0\.1:8080\. Its first receipt: (Proven|Reused|Partial)/);
        await shot('first-receipt');
        await workbench.clearNotifications();
      },
    },
    {
      title: 'a model file is chosen in the same way',
      async run() {
        await openChoice();
        await quickInput.pick(gemmaName);
        await workbench.notification('Its first receipt: Proven', workMs);
        await workbench.clearNotifications();
      },
    },
    {
      title: 'a session with it is frozen, its engine killed, and thawed',
      async run() {
        await workbench.runCommand('Context Windows: New Session');
        await quickInput.fill('orchard', 'New Session');
        await workbench.statusBar('orchard 0', workMs);
        await workbench.runCommand('Context Windows: Add Files to Context');
        await rows.filter({ hasText: 'src/' }).first().waitFor();
        await page.locator('.quick-input-widget .quick-input-header .monaco-checkbox').first().click();
        await page.keyboard.press('Enter');
        await workbench.notification('Added 5 files', workMs);
        await workbench.clearNotifications();
        await workbench.runCommand('Context Windows: Freeze');
        await quickInput.fill('before-lunch', 'Freeze');
        await workbench.notification('before-lunch', workMs);
        await workbench.clearNotifications();
        const pid = await enginePid(storage, (spec) => spec.includes(gemmaName));
        process.kill(pid, 'SIGKILL');
        await waitUntil('the engine to be gone', () => (isRunning(pid) ? undefined : true));
        await tree.expand('orchard');
        await tree.chooseMenuItem('before-lunch', 'Thaw');
        await workbench.answerNotification('before-lunch: Proven', 'Show Receipt', workMs);
        const shown = async (): Promise<true | undefined> =>
          (await workbench.editorText().catch(() => '')).includes('Verdict: proven') ? true : undefined;
        await waitUntil('the receipt', shown);
        await workbench.statusBar(/before-lunch .* proven/, workMs);
        await waitUntil('its colours', async () => ((await colours(page)) >= 5 ? true : undefined));
        await shot('receipt');
      },
    },
    {
      title: 'each step of the walkthrough has a picture',
      async run() {
        await workbench.runCommand('Welcome: Open Walkthrough...');
        await quickInput.pick('Freeze and thaw a context window');
        const steps = page.locator('.getting-started-step');
        await steps.first().waitFor();
        const alternatives = await picturesOfSteps();
        assert.equal(await steps.count(), alternatives.length);
        for (let index = 0; index < alternatives.length; index++) {
          await steps.nth(index).click();
          const image = page.locator('.getting-started-media img');
          const drawing = page.frameLocator('.getting-started-media iframe').frameLocator('#active-frame');
          const alt = alternatives[index] ?? '';
          const shown = async (): Promise<true | undefined> => {
            const isLoaded = await image.evaluateAll(
              (images, text) => images.some((one) => one.getAttribute('alt') === text && one.clientHeight > 50),
              alt,
            );
            const titles = await drawing
              .locator('svg title')
              .allTextContents()
              .catch((): string[] => []);
            return isLoaded || titles.includes(alt) ? true : undefined;
          };
          await waitUntil(`the picture "${alt}"`, shown, { timeoutMs: 30_000 });
          await shot(`walkthrough-${index + 1}`);
        }
      },
    },
  ];
}

/** How many colours the text of the editor has: VS Code draws it before it has read the language's grammar. */
const colours = (page: Workbench['page']): Promise<number> =>
  page
    .locator('.view-lines span[class^="mtk"]')
    .evaluateAll((spans) => new Set(spans.map(({ className }) => className.split(' ')[0])).size);

/** What the walkthrough's pictures are called in package.json, in their order. */
async function picturesOfSteps(): Promise<string[]> {
  const text = await readFile(path.resolve(import.meta.dirname, '../../../package.json'), 'utf8');
  const { contributes } = JSON.parse(text) as {
    contributes: { walkthroughs: { steps: { media: { altText: string } }[] }[] };
  };
  return contributes.walkthroughs.flatMap(({ steps }) => steps.map(({ media }) => media.altText));
}
