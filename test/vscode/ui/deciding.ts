import assert from 'node:assert/strict';
import type { Frame } from 'playwright-core';
import { FakeVllm } from '../../fakes/fakeVllm.ts';
import { artifactPath } from '../harness/artifacts.ts';
import type { Workbench } from '../harness/workbench.ts';
import { asking } from './engineProcess.ts';
import type { ChangeSettings } from './mainJob.ts';
import type { Step } from './steps.ts';

const workMs = 60_000;
const view = 'Context Windows';

const reads = { name: 'read_file', arguments: '{"path":"README.md"}' };
const asks = { name: 'ask_user', arguments: '{"question":"Which colour?","choices":["red","blue"]}' };

/** A model server whose answers are scripted; it ends with the run. */
export async function scriptedModel(): Promise<FakeVllm & AsyncDisposable> {
  const model = await FakeVllm.start();
  return Object.assign(model, { [Symbol.asyncDispose]: () => model.stop() });
}

/** A model that calls tools, asks and plans; the user decides with the buttons of the conversation. What the model says is scripted. */
export function deciding(
  workbench: Workbench,
  storage: string,
  model: FakeVllm,
  changeSettings: ChangeSettings,
): Step[] {
  const { quickInput, page } = workbench;
  const tree = workbench.tree(view);
  const shot = (name: string): Promise<void> => workbench.screenshot(artifactPath(`ui-deciding-${name}.png`));
  let reading: Frame;
  const says = (...answers: FakeVllm['faults']['toolCalls'][number][]): void => void (model.faults.toolCalls = answers);
  const write = async (text: string): Promise<void> => {
    await reading.locator('footer textarea').fill(text);
    await reading.locator('footer button[type=submit]:enabled').waitFor({ timeout: workMs });
    await page.keyboard.press('Enter');
  };
  const press = (label: string): Promise<void> =>
    reading.locator('article .call, article .actions').getByText(label, { exact: true }).last().click();
  const result = (outcome: string, text: string): Promise<void> =>
    reading
      .locator('article.tool', { hasText: `(${outcome})` })
      .locator('pre', { hasText: text })
      .last()
      .waitFor({ state: 'attached', timeout: workMs });
  const set = async (...picks: string[]): Promise<void> => {
    await reading.locator('header.session button', { hasText: 'Session Settings' }).click();
    for (const label of picks) await quickInput.pick(label);
  };
  return [
    {
      title: 'a session gets tools in its settings',
      async run() {
        model.faults.answer = 'It is done.';
        await changeSettings({ 'cwm.engine': model.url });
        await workbench.openView(view);
        await workbench.runCommand('Context Windows: New Session');
        await quickInput.fill('quinces', 'New Session');
        await workbench.statusBar('quinces 0', workMs);
        await tree.click('quinces');
        reading = await workbench.webviewWith('h1 >> text=quinces', workMs);
        await set('Tools', 'manual');
      },
    },
    {
      title: 'S4-14 a tool call is approved with its button, and the turn goes on',
      async run() {
        says([reads]);
        await write('What does the README say?');
        await reading.locator('article .call code', { hasText: 'read_file' }).waitFor({ timeout: workMs });
        await shot('1-approve');
        await press('Approve');
        await result('done', 'Counts apples');
        await reading.locator('article.model', { hasText: 'It is done.' }).waitFor({ timeout: workMs });
      },
    },
    {
      title:
        'one is denied with a reason, and the reason that is being typed stays when another client decides on the call beside it',
      async run() {
        says([reads, reads]);
        await write('And again?');
        await reading.locator('article .call code').last().waitFor({ timeout: workMs });
        await press('Deny…');
        const field = reading.locator('article .call textarea');
        await field.fill('Not');
        await asking(storage, (backend) => deniedAndRenamed(backend, 'quinces'));
        await reading.locator('h1', { hasText: 'quinces!' }).waitFor({ timeout: workMs });
        assert.equal(await field.inputValue(), 'Not');
        await field.press('End');
        await field.pressSequentially(' today.');
        await field.press('Enter');
        await result('denied', 'Not today.');
      },
    },
    {
      title: 'S4-03 a question is answered with the button of a choice, and another one in words',
      async run() {
        says([asks], [asks], []);
        await write('Paint them.');
        await reading.locator('article .question', { hasText: 'Which colour?' }).waitFor({ timeout: workMs });
        await shot('2-question');
        await press('blue');
        await result('done', 'blue');
        await reading.locator('article .question button', { hasText: 'red' }).waitFor({ timeout: workMs });
        await press('Another Answer…');
        await reading.locator('article .question textarea').fill('Green, please.');
        await page.keyboard.press('Enter');
        await result('done', 'Green, please.');
        assert.equal(await reading.locator('article .question button').count(), 0);
      },
    },
    {
      title: 'an edit that is being written stays when its message changes beside it, and is sent as it was written',
      async run() {
        await reading.locator('footer .stop').waitFor({ state: 'hidden', timeout: workMs });
        await press('Edit and Resend');
        const field = reading.locator('article.user textarea');
        await field.fill('Paint them all');
        // Another client's turn: while it waits, no message can be edited, and each loses its buttons.
        says([reads]);
        await asking(storage, async (backend) => {
          const { items } = await backend.call('listSessions', { search: 'quinces' });
          const session = items[0]?.id ?? '';
          await backend.call('send', { session, text: 'From elsewhere.' });
          await reading.locator('article .call code').last().waitFor({ timeout: workMs });
          assert.equal(await field.inputValue(), 'Paint them all');
          await backend.call('denyTools', { session });
        });
        await reading.locator('article.user', { hasText: 'From elsewhere.' }).waitFor({ timeout: workMs });
        assert.equal(await field.inputValue(), 'Paint them all');
        await shot('3-edit');
        await field.press('Enter');
        await reading.locator('article.user', { hasText: 'Paint them all' }).waitFor({ timeout: workMs });
        await reading.locator('.facts', { hasText: 'branch branch-2' }).waitFor({ timeout: workMs });
      },
    },
    {
      title: 'S4-03 a plan is accepted with its button, and the session acts from then on',
      async run() {
        await reading.locator('footer .stop').waitFor({ state: 'hidden', timeout: workMs });
        await set('Mode', 'plan');
        model.faults.answer = 'First, dig.';
        await write('Plan the planting.');
        await reading.locator('article h2', { hasText: 'Plan' }).waitFor({ timeout: workMs });
        await shot('4-plan');
        model.faults.answer = 'Planted.';
        await press('Accept Plan');
        await reading.locator('article.model', { hasText: 'Planted.' }).waitFor({ timeout: workMs });
        await changeSettings({});
        await workbench.clearNotifications();
        await workbench.runCommand('View: Close All Editors');
      },
    },
  ];
}

type Backend = Parameters<Parameters<typeof asking>[1]>[0];

/** Another client denies the first call that waits, and gives the session another title, which shows when the page has heard of both. */
async function deniedAndRenamed(backend: Backend, title: string): Promise<void> {
  const { items } = await backend.call('listSessions', { search: title });
  const session = items[0]?.id ?? '';
  const { pendingToolApprovals } = await backend.call('turnState', { session });
  await backend.call('denyTools', { session, calls: [pendingToolApprovals[0]?.id ?? ''] });
  await backend.call('updateSession', { session, title: `${title}!` });
}
