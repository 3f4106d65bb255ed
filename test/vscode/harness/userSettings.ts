/** What would disturb a test: welcome pages, tips, update checks, telemetry, AI features (they cost 2 s at the start). */
const QUIET: Readonly<Record<string, unknown>> = {
  'security.workspace.trust.enabled': false,
  'workbench.startupEditor': 'none',
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

/** The text of a `settings.json`: `settings` over the quiet defaults. */
export function userSettings(settings: Readonly<Record<string, unknown>> = {}): string {
  return `${JSON.stringify({ ...QUIET, ...settings }, null, 2)}\n`;
}
