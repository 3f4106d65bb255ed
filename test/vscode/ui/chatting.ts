import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { FakeLlamaServer } from '../../fakes/fakeLlamaServer.ts';
import { artifactPath } from '../harness/artifacts.ts';
import { exactly } from '../harness/textMatch.ts';
import { waitUntil } from '../harness/waitUntil.ts';
import type { Workbench } from '../harness/workbench.ts';
import { asking } from './engineProcess.ts';
import type { ChangeSettings } from './mainJob.ts';
import type { Step } from './steps.ts';

const workMs = 90_000;

/**
 * `@window` in VS Code's own chat view, by keyboard and with the buttons of its answers. Nobody has signed in.
 *
 * @param folder for what the model server writes.
 */
export function chatting(workbench: Workbench, storage: string, folder: string, change: ChangeSettings): Step[] {
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
    {
      title:
        'V8 @window freezes the conversation of the chat and says which that is, and answers when the model server is gone',
      async run() {
        const slotDir = path.join(folder, 'slots');
        mkdirSync(slotDir);
        // The prompt of agent mode has 55,000 characters, each a token here.
        const faults = { model: 'gemma', contextTokens: 2_000_000, answer: [...Buffer.from('A Conference.'), 257] };
        const server = await FakeLlamaServer.start({ slotDir, slots: 1, faults });
        try {
          await change({ 'cwm.engine': `${server.url}#slots=${slotDir}` });
          await say('Name a pear');
          await answer('A Conference.').waitFor({ timeout: workMs });
          await say('@window /freeze dessert');
          await answer(/The window holds the session .*Name a pear/).waitFor({ timeout: workMs });
          await shot('5-conversation');
        } finally {
          await server.stop();
        }
        await say('@window /status');
        await answer(/The session of this chat is .*Name a pear/).waitFor({ timeout: workMs });
        await shot('6-server-down');
      },
    },
  ];
}
