// Does the main job in a real VS Code in a real browser: `node test/vscode/runUi.ts [RESULT.json [GROUP ...]]`. `node esbuild.mjs` first.
// Screenshots go to test-results/vscode/. Writes `{passed, failed, skipped}`, exits 1 when a step failed.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isNightly } from '../support/nightly.ts';
import { writeSettings } from './harness/userSettings.ts';
import { withWorkbench } from './harness/withWorkbench.ts';
import type { Workbench } from './harness/workbench.ts';
import { packageExtension } from './packageExtension.ts';
import { chatting } from './ui/chatting.ts';
import { deciding, scriptedModel } from './ui/deciding.ts';
import { encryption } from './ui/encryption.ts';
import { machineToFind } from './ui/foundHere.ts';
import { mainJob, type ChangeSettings } from './ui/mainJob.ts';
import { changesPerMinute, programs } from './ui/programs.ts';
import { writeProject } from './ui/projectFolder.ts';
import { reading } from './ui/reading.ts';
import { remembering } from './ui/remembering.ts';
import { restricted } from './ui/restricted.ts';
import { runSteps } from './ui/steps.ts';
import { inThemes } from './ui/themes.ts';
import { twoWindows } from './ui/twoWindows.ts';

const temporary = mkdtempSync(path.join(tmpdir(), 'cwm-ui-'));
const storage = path.join(temporary, 'storage');
const folder = path.join(temporary, 'orchard');
const otherFolder = path.join(temporary, 'meadow');
mkdirSync(storage);
mkdirSync(otherFolder);
writeProject(folder);
const settings = {
  'cwm.storageDirectory': storage,
  'cwm.embedded.threads': 1,
  'cwm.answer.maxTokens': 24,
  'cwm.gateway.port': 0,
  'cwm.limits.changesPerMinute': changesPerMinute,
};

const outcome = { passed: 0, failed: 0, skipped: 0 };
const only = process.argv.slice(3);
try {
  const alone = ['restricted', 'chatting'];
  if (only.length === 0 || only.some((group) => !alone.includes(group))) await inOneWindow();
  if (only.length === 0 || only.includes('restricted')) await inRestrictedMode();
  if (only.length === 0 ? isNightly : only.includes('chatting')) await inChat();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  if (outcome.failed === 0) outcome.failed = 1;
} finally {
  rmSync(temporary, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

async function inOneWindow(): Promise<void> {
  await using model = await scriptedModel();
  await using machine = await machineToFind(path.join(temporary, 'home'));
  await withWorkbench(
    {
      name: 'ui-main-job',
      vsix: [await packageExtension(temporary)],
      folder,
      settings,
      environment: machine.environment,
      timeoutMs: 1_200_000,
    },
    (workbench, { server, openWindow }) => {
      const change: ChangeSettings = (changed) =>
        writeSettings(path.join(server.root, 'u'), { ...settings, ...changed });
      let second = workbench;
      const openSecond = async (): Promise<Workbench> => (second = await openWindow(otherFolder));
      const groups = {
        mainJob: () => mainJob(workbench, storage, change),
        themes: () => inThemes(workbench, change),
        reading: () => reading(workbench, change),
        remembering: () => remembering(workbench, storage, change),
        deciding: () => deciding(workbench, storage, model, change),
        programs: () => programs({ workbench, storage, folder }, model, change),
        twoWindows: () => twoWindows(workbench, openSecond, storage),
        encryption: () => encryption(workbench, () => second, storage, path.join(temporary, 'keys', 'store.key')),
      };
      const steps = Object.entries(groups).flatMap(([name, make]) =>
        only.length === 0 || only.includes(name) ? make() : [],
      );
      return runSteps(steps, outcome);
    },
  );
}

/** A window on a folder that the user does not trust, with a storage directory of its own. */
async function inRestrictedMode(): Promise<void> {
  const strange = path.join(temporary, 'strange');
  const own = path.join(temporary, 'own-storage');
  mkdirSync(own);
  mkdirSync(path.join(strange, '.cwm'), { recursive: true });
  const config = { version: '1.0', project: { name: 'strange' }, engine: 'http://127.0.0.1:9' };
  writeFileSync(path.join(strange, '.cwm', 'config.json'), JSON.stringify(config));
  await withWorkbench(
    {
      name: 'ui-restricted',
      vsix: [await packageExtension(temporary)],
      folder: strange,
      asksForTrust: true,
      settings: {
        ...settings,
        'cwm.storageDirectory': own,
        'security.workspace.trust.enabled': true,
        'security.workspace.trust.startupPrompt': 'never',
      },
      timeoutMs: 600_000,
    },
    (workbench) => runSteps(restricted(workbench, own), outcome),
  );
}

/** A window with VS Code's AI features, which cost seconds at the start, and with a storage directory of its own. */
async function inChat(): Promise<void> {
  const own = path.join(temporary, 'chat-storage');
  mkdirSync(own);
  const chatSettings = { ...settings, 'cwm.storageDirectory': own, 'chat.disableAIFeatures': false };
  await withWorkbench(
    {
      name: 'ui-chat',
      vsix: [await packageExtension(temporary)],
      folder,
      settings: chatSettings,
      timeoutMs: 600_000,
    },
    (workbench, { server }) => {
      const change: ChangeSettings = (changed) =>
        writeSettings(path.join(server.root, 'u'), { ...chatSettings, ...changed });
      return runSteps(chatting(workbench, own, temporary, change), outcome);
    },
  );
}

const [resultFile] = process.argv.slice(2);
if (resultFile !== undefined) writeFileSync(resultFile, JSON.stringify(outcome));
console.log(`browser: ${outcome.passed} passed, ${outcome.failed} failed, ${outcome.skipped} skipped`);
process.exitCode = outcome.failed === 0 ? 0 : 1;
