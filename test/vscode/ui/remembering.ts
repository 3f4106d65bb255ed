import assert from 'node:assert/strict';
import type { Frame } from 'playwright-core';
import { eventually } from '../../support/eventually.ts';
import { artifactPath } from '../harness/artifacts.ts';
import type { Workbench } from '../harness/workbench.ts';
import { asking } from './engineProcess.ts';
import type { ChangeSettings } from './mainJob.ts';
import type { Step } from './steps.ts';

const workMs = 90_000;
const view = 'Context Windows';
/** Of the prompt; a few exchanges fill it. */
const limitTokens = 1024;
const exchanges = 12;
const plum = 'The plum on the third branch is ripe, and the one beside it will be tomorrow.';

/** A conversation that is longer than its limit, in the view of its memory: read, pinned and brought back by eye and by keyboard. */
export function remembering(workbench: Workbench, storage: string, changeSettings: ChangeSettings): Step[] {
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
          const { session, memory } = await eventually(async () => {
            const { items } = await backend.call('listSessions', { search: 'damsons' });
            const { id = '', settings } = items[0] ?? {};
            // The extension stores a pick some time after it.
            assert.deepEqual(settings?.memory, { enableVm: true, policy: 'kv-aware' });
            return { session: id, memory: settings.memory };
          });
          await backend.call('updateSession', { session, memory: { ...memory, maxL0Tokens: limitTokens } });
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
        assert.match(text, /Searches go by words alone: .*--embeddings-server/);
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
    {
      title: 'the view leads to what is remembered: a memory of this session is written down, listed, and forgotten',
      async run() {
        const memories = memory.getByRole('button', { name: 'Memories…' });
        await memories.click();
        await workbench.quickInput.pick('New Memory…');
        await workbench.quickInput.pick('This Session');
        await workbench.quickInput.fill('The plums are ripe.', 'Memories…');
        await workbench.notification(/Remembered "The plums are ripe\."/);
        await memories.click();
        await shot('4-memories');
        await workbench.quickInput.pick('The plums are ripe.');
        await workbench.quickInput.pick('Forget…');
        await workbench.answerDialog('Forget "The plums are ripe."?', 'Forget');
        await workbench.notification(/Forgot "The plums are ripe\."/);
      },
    },
    {
      title: 'V3 a screen reader is told what the bar and the chart show, and each list and each button by its name',
      async run() {
        const bar = memory.getByRole('region', { name: 'What the next prompt has' });
        assert.match((await bar.getByRole('listitem').allInnerTexts()).join('\n'), /summar.+tokens[^]*Free: /);
        assert.equal(await bar.getByRole('img').count(), 0);
        const reuse = memory.getByRole('region', { name: 'Reuse' });
        await reuse.getByText('Each answer as a table').focus();
        await workbench.page.keyboard.press('Enter');
        await memory.getByRole('table', { name: 'Tokens of the prompt of each answer' }).waitFor();
        assert.ok((await memory.getByRole('row').count()) > exchanges);
        for (const name of ['Pinned', 'In the Prompt', 'Summaries in the Place', 'No Longer in the Prompt'])
          await memory.getByRole('region', { name: new RegExp(`^${name}`) }).waitFor({ state: 'attached' });
      },
    },
    ...Object.entries(kinds).map(([kind, theme]) => ({
      title: `V3 in a ${kind} theme each part of the bar and the chart can be told from the others and from the page`,
      async run() {
        await changeSettings({ 'workbench.colorTheme': theme.name });
        await workbench.page.locator(`.monaco-workbench.${theme.mark}`).waitFor();
        await memory.locator(`body.${theme.body}`).waitFor();
        await memory.locator('h1').scrollIntoViewIfNeeded();
        await shot(`theme-${kind}`);
        const [page, ...seen] = await memory.evaluate<readonly string[]>(
          `['', ${partsOfCharts.map((part) => JSON.stringify(part)).join()}].map((part) =>
             getComputedStyle(document.querySelector(part || 'body'))[part ? 'fill' : 'background-color'])`,
        );
        for (const parts of [seen.slice(0, 3), seen.slice(3)])
          assert.equal(new Set([page, ...parts]).size, 4, JSON.stringify([page, ...parts]));
        await changeSettings({});
      },
    })),
  ];
}

const partsOfCharts = [
  ...['summary', 'message', 'other'].map((part) => `svg.bar .part.${part}`),
  ...['reused', 'again', 'fresh'].map((part) => `svg.columns .part.${part}`),
];

const kinds = {
  dark: { name: 'Default Dark Modern', mark: 'vs-dark', body: 'vscode-dark' },
  'high-contrast': { name: 'Default High Contrast', mark: 'hc-black', body: 'vscode-high-contrast' },
} as const;
