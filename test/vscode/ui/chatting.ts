import assert from 'node:assert/strict';
import { artifactPath } from '../harness/artifacts.ts';
import { exactly } from '../harness/textMatch.ts';
import { waitUntil } from '../harness/waitUntil.ts';
import type { Workbench } from '../harness/workbench.ts';
import { asking } from './engineProcess.ts';
import type { Step } from './steps.ts';

const workMs = 90_000;

/** `@window` in VS Code's own chat view, by keyboard and with the buttons of its answers. Nobody has signed in. */
export function chatting(workbench: Workbench, storage: string): Step[] {
  const { page, quickInput } = workbench;
  const chat = page.locator('.interactive-session').last();
  const input = chat.locator('.interactive-input-editor');
  const shot = (name: string): Promise<void> => workbench.screenshot(artifactPath(`ui-chat-${name}.png`));
  const say = async (text: string): Promise<void> => {
    await input.locator('.monaco-editor').first().click();
    await page.keyboard.type(text);
    // The list of commands may open late, and then takes the key.
    const sent = async (): Promise<true | undefined> => {
      await page.keyboard.press('Escape');
      await page.keyboard.press('Enter');
      return (await input.locator('.view-lines').innerText()).includes(text.slice(-5)) ? undefined : true;
    };
    await waitUntil(`"${text}" to be sent`, sent, { timeoutMs: workMs, intervalMs: 500 });
  };
  const answer = (text: string | RegExp) => chat.locator('.interactive-response', { hasText: text }).last();
  const windows = () =>
    asking(storage, async (backend) => (await backend.call('listWindows', {})).items.map(({ name }) => name).sort());
  return [
    {
      title: 'V8 @window says how things are, and offers a session by a button',
      async run() {
        await workbench.statusBar('Context Windows', workMs);
        // It turns VS Code's own extension on, which answers in the chat view and is off in a new profile.
        await workbench.runCommand('Chat: Manage Language Models');
        const models = page.locator('.monaco-modal-editor-block');
        await models.waitFor();
        await page.keyboard.press('Escape');
        await models.waitFor({ state: 'hidden' });
        await workbench.runCommand('Chat: Open Chat');
        await say('@window /status');
        await answer('This folder has no current session').waitFor({ timeout: workMs });
        await shot('1-status');
        await answer('no current session').locator('.monaco-button', { hasText: 'New Session' }).click();
        await quickInput.fill('pears', 'New Session');
        await workbench.statusBar('pears 0', workMs);
      },
    },
    {
      title: 'V8 @window freezes and thaws with a receipt to refer to, and its buttons do what they say',
      async run() {
        await workbench.runCommand('Context Windows: Send Message');
        await quickInput.fill('How many pears are ripe?', 'Send to "pears"');
        await workbench.statusBar(/pears [\d.]+K?\//, workMs);
        await say('@window /freeze lunch');
        const frozen = answer('Freeze of lunch');
        await frozen.waitFor({ timeout: workMs });
        await frozen.locator('.monaco-button', { hasText: exactly('Resume') }).waitFor({ timeout: workMs });
        await shot('2-freeze');
        await frozen.locator('.chat-inline-anchor-widget', { hasText: 'lunch.cwm-receipt' }).click();
        await page.locator('.tab', { hasText: 'lunch' }).first().waitFor({ timeout: workMs });
        await frozen.locator('.monaco-button', { hasText: exactly('Thaw') }).click();
        await workbench.notification('lunch: Proven', workMs);
        await say('@window /clone lunch dinner');
        await answer('Clone of dinner').waitFor({ timeout: workMs });
        assert.deepEqual(await windows(), ['dinner', 'lunch']);
      },
    },
    {
      title: 'V8 @window says why, with the evidence, and what it cannot do with the next step',
      async run() {
        await say('@window /why lunch');
        const why = answer('Evidence');
        await why.waitFor({ timeout: workMs });
        await why.locator('.monaco-button', { hasText: 'Show Receipt' }).click();
        await page.locator('.tab', { hasText: 'lunch' }).first().waitFor({ timeout: workMs });
        await shot('3-why');
        await say('@window /thaw nowhere');
        await answer(/CWM-2002/).waitFor({ timeout: workMs });
        await shot('4-refused');
      },
    },
  ];
}
