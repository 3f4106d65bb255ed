import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { startGemma } from '../clients/gemmaServer.ts';
import { engineRecipes } from '../engines/live/engineRecipe.ts';
import { freePort } from '../engines/live/guardedServer.ts';
import { installedPython } from '../engines/live/installEngine.ts';
import { lastingServer } from '../engines/live/lastingServer.ts';
import { tellChat, type ChatPlace, type Door } from './chatPlace.ts';
import { runSuite } from './harness/runSuite.ts';
import { writeProject } from './ui/projectFolder.ts';

export interface ChatStoryOptions {
  readonly vsix: string;
  /** An empty directory with a short path. */
  readonly place: string;
  readonly log: (line: string) => void;
}

interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/**
 * One conversation in VS Code's chat by each of its doors, with Gemma in a real llama-server: turns, a call of a tool, a restart of the backend;
 * VS Code ends and opens again over the same profile; one more turn, a freeze, `kill -9` of the model server, a slow thaw, a stop, a fork.
 */
export async function chatStory({ vsix, place, log }: ChatStoryOptions): Promise<Outcome> {
  const outcome = { passed: 0, failed: 0, skipped: 0 };
  const missing = (['llama-server', 'gemma'] as const).filter((name) => !installedPython(engineRecipes[name]));
  if (missing.length > 0) {
    log(`${missing.join(' and ')} is not installed, so the story of VS Code's chat with a real model is left out.`);
    return outcome;
  }
  const wish = process.env['CWM_CHAT_DOOR'];
  for (const vendor of (['cwm', 'customendpoint'] as const).filter((each) => wish === undefined || each === wish)) {
    const sum = await throughDoor(vendor, { vsix, place: path.join(place, vendor), log });
    for (const field of ['passed', 'failed', 'skipped'] as const) outcome[field] += sum[field];
  }
  return outcome;
}

async function throughDoor(vendor: Door, { vsix, place, log }: ChatStoryOptions): Promise<Outcome> {
  const folder = path.join(place, 'orchard');
  const [profile, storage, slotDir] = ['p', 'storage', 'slots'].map((name) => path.join(place, name)) as [
    string,
    string,
    string,
  ];
  for (const each of [folder, profile, storage, slotDir]) mkdirSync(each, { recursive: true });
  writeProject(folder);
  await using server = await lastingServer((port) => startGemma(slotDir, port, 1));
  const [frontPort, gatewayPort] = [await freePort(), await freePort()];
  const settings = {
    'chat.disableAIFeatures': false,
    // A person chooses the conversation in the list; the window shows the last one by itself with this.
    'chat.restoreLastPanelSession': true,
    // Titles and progress messages come from the model of the conversation, as from that of somebody who signed in.
    'chat.byokUtilityModelDefault': 'mainAgent',
    'chat.utilityModel': `${vendor}/gemma`,
    'chat.utilitySmallModel': `${vendor}/gemma`,
    'cwm.storageDirectory': storage,
    'cwm.gateway.port': gatewayPort,
    'cwm.engine': `http://127.0.0.1:${frontPort}#slots=${slotDir}`,
  };
  const play = async (suite: string): Promise<Outcome> => {
    const { url, pid } = server.now();
    const userFolder = path.join(profile, 'u', 'User');
    const told: ChatPlace = { vendor, server: { url, pid }, slotDir, frontPort, gatewayPort, storage, userFolder };
    return await runSuite({
      testFiles: [path.join(import.meta.dirname, 'suite', `${suite}.suite.ts`)],
      vsix: [vsix],
      profile,
      folder,
      settings,
      environment: tellChat(told),
      timeoutMs: 3_600_000,
      // A window waits long for a model server that does not come back.
      signal: server.lost,
      log,
    });
  };
  const first = await play('chatTalk');
  // The second window continues what the first one said.
  const second = first.failed > 0 ? { passed: 0, failed: 0, skipped: 1 } : await play('chatBack');
  return {
    passed: first.passed + second.passed,
    failed: first.failed + second.failed,
    skipped: first.skipped + second.skipped,
  };
}
