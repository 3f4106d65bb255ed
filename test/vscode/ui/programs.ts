import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { readBackendRecord } from '../../../src/client/backendRecord.ts';
import { connectBackend } from '../../../src/client/connectBackend.ts';
import type { CwmError } from '../../../src/protocol/errors.ts';
import type { FakeVllm } from '../../fakes/fakeVllm.ts';
import { artifactPath } from '../harness/artifacts.ts';
import { waitUntil } from '../harness/waitUntil.ts';
import type { Workbench } from '../harness/workbench.ts';
import { asking } from './engineProcess.ts';
import type { ChangeSettings } from './mainJob.ts';
import type { Step } from './steps.ts';

const workMs = 60_000;
/** Of an agent, in the settings of the window. */
export const changesPerMinute = 1;
const view = 'Context Windows';
const cli = path.join(import.meta.dirname, '../../../src/cli/main.ts');

interface Window {
  readonly workbench: Workbench;
  readonly storage: string;
  /** The one that the window has open. */
  readonly folder: string;
}

/** A program that talks to the model server through the gateway: its row in the view of the clients, and what is recorded of it and of a project. */
export function programs({ workbench, storage, folder }: Window, model: FakeVllm, change: ChangeSettings): Step[] {
  const { page } = workbench;
  const [sessions, clients] = [workbench.tree(view), workbench.tree('Clients')];
  const name = path.basename(folder);
  const shot = (file: string): Promise<void> => workbench.screenshot(artifactPath(`ui-programs-${file}.png`));
  const says = (tree: typeof clients, ...parts: readonly string[]): Promise<string> =>
    waitUntil(
      `a row with ${parts.join(', ')}`,
      async () => (await tree.texts()).find((text) => parts.every((part) => text.includes(part))),
      { timeoutMs: workMs, evidence: () => [] },
    );
  const cwm = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)(process.execPath, [cli, ...args, '--storage', storage])).stdout;
  const title = (text: string) =>
    page.locator('.pane-header', { hasText: view }).locator('.description', { hasText: text });
  let gateway: { readonly url: string; readonly token: string };
  const ask = async (text: string): Promise<string | null> => {
    const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-api-key': gateway.token, 'x-cwm-project': folder },
      body: JSON.stringify({ model: model.faults.model, messages: [{ role: 'user', content: text }] }),
    });
    assert.equal(answer.status, 200, await answer.text());
    return answer.headers.get('x-cwm-recorded');
  };
  return [
    {
      title: 'S0-62 an agent is refused past the limit of the settings, with their name, and nobody else is',
      async run() {
        await workbench.statusBar(/Context Windows|orchard/, workMs);
        await workbench.runCommand('Context Windows: Refresh');
        await waitUntil('a backend', async () => (await readBackendRecord(storage)) ?? undefined, {
          timeoutMs: workMs,
        });
        const agent = await connectBackend({ storage, start: null, kind: 'mcp' });
        try {
          // Ten at once are always allowed.
          for (let change = 0; change < 10; change++) await agent.call('autoFreezeConfig', {});
          await assert.rejects(agent.call('autoFreezeConfig', {}), (error: CwmError) => {
            assert.deepEqual([error.code, error.context?.['perMinute']], ['CWM-7002', changesPerMinute]);
            assert.match(error.hint, /cwm\.limits\.changesPerMinute in VS Code's settings/);
            return true;
          });
        } finally {
          agent.dispose();
        }
        await asking(storage, async (backend) => {
          for (let change = 0; change < 12; change++) await backend.call('autoFreezeConfig', {});
        });
      },
    },
    {
      title:
        'a client that asked has a row with its project, its session and its turns, and "cwm clients" says the same',
      async run() {
        await change({ 'cwm.engine': model.url });
        await workbench.openView(view);
        gateway = await asking(storage, async (backend) => {
          await backend.call('useEngine', { engine: model.url });
          await backend.call('openGateway', {});
          const { url, token } = await backend.call('putGatewayClient', { name: 'codex' });
          assert.ok(url !== null && token !== null);
          return { url, token };
        });
        await page.locator('.pane-header', { hasText: 'Clients' }).click();
        assert.equal(await ask('Which plums are ripe?'), 'yes');
        const row = await says(clients, 'codex', name, 'Which plums are ripe?', '1 turn');
        await shot('1-clients');
        const said = await cwm('clients');
        for (const part of ['codex', 'Which plums are ripe?']) assert.match(said, new RegExp(part.replace('?', '\\?')));
        assert.match(said, /codex +.*\b1\b/);
        console.log(`    ${row}\n    ${said.trim().replaceAll('\n', '\n    ')}`);
      },
    },
    {
      title: 'the menu of its row says that it is not recorded, and the row shows it',
      async run() {
        await clients.chooseMenuItem('codex', "Don't Record Conversations of a Client");
        await says(clients, 'codex', 'not recorded');
        assert.equal(await ask('Is anybody there?'), 'no');
        await shot('2-client-not-recorded');
        await clients.chooseMenuItem('codex', 'Record Conversations of a Client');
        await waitUntil(
          'the row to be as it was',
          async () => ((await clients.texts()).join().includes('not recorded') ? undefined : true),
          { timeoutMs: workMs },
        );
        assert.equal(await ask('Is anybody there?'), 'yes');
        await workbench.clearNotifications();
      },
    },
    {
      title:
        'a project that is not recorded says so beside the title where it has no row of its own, and in its row where it has one',
      async run() {
        await workbench.runCommand("Context Windows: Don't Record This Project");
        await workbench.notification('is saved without being asked for', workMs);
        await title('not recorded').waitFor({ timeout: workMs });
        assert.equal(await ask('Does anybody listen?'), 'no');
        await shot('3-project-not-recorded');
        await workbench.clearNotifications();
        await workbench.runCommand('Context Windows: Show Sessions of All Folders');
        await says(sessions, name, 'this folder', 'not recorded');
        await shot('4-project-row');
      },
    },
    {
      title: 'the menu of a project has it recorded again',
      async run() {
        await sessions.chooseMenuItem(name, 'Record This Project');
        await workbench.notification('are made without being asked for', workMs);
        await waitUntil(
          'the row to be as it was',
          async () => ((await sessions.texts()).join().includes('not recorded') ? undefined : true),
          { timeoutMs: workMs },
        );
        assert.equal(await ask('Does anybody listen?'), 'yes');
        await workbench.runCommand('Context Windows: Show Sessions of This Folder Only');
        await title('not recorded').waitFor({ state: 'hidden', timeout: workMs });
        await asking(storage, (backend) => backend.call('useEngine', { engine: 'embedded' }));
        await workbench.clearNotifications();
      },
    },
  ];
}
