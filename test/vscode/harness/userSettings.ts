import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

/**
 * What would disturb a test: welcome pages, tips, update checks, telemetry, AI features (they cost 2 s at the start), and inputs that close
 * when something else takes the focus for a moment.
 */
const QUIET: Readonly<Record<string, unknown>> = {
  'security.workspace.trust.enabled': false,
  'workbench.startupEditor': 'none',
  'workbench.quickOpen.closeOnFocusLost': false,
  'workbench.tips.enabled': false,
  'workbench.welcomePage.walkthroughs.openOnInstall': false,
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'extensions.autoCheckUpdates': false,
  'extensions.autoUpdate': false,
  'extensions.ignoreRecommendations': true,
  'git.openRepositoryInParentFolders': 'never',
  'chat.disableAIFeatures': true,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
};

/**
 * Writes `settings` over the quiet defaults into a fresh profile. In a window of a server, VS Code reads what is about the machine
 * (scopes `machine` and `machine-overridable`) from that machine's settings, so they are written there too.
 */
export async function writeSettings(
  userDataDir: string,
  settings: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  await write(path.join(userDataDir, 'User'), { ...QUIET, ...settings });
  await write(path.join(userDataDir, 'Machine'), settings);
}

async function write(folder: string, settings: Readonly<Record<string, unknown>>): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'settings.json'), `${JSON.stringify(settings, null, 2)}\n`);
}
