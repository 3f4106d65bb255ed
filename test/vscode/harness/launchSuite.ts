import { runTests } from '@vscode/test-electron';
import * as z from 'zod/mini';

const suiteLaunch = z.object({
  vscodeExecutablePath: z.string(),
  extensionDevelopmentPath: z.array(z.string()),
  extensionTestsPath: z.string(),
  launchArgs: z.array(z.string()),
});

/** What runSuite.ts passes as this script's only argument, in JSON. */
export type SuiteLaunch = z.infer<typeof suiteLaunch>;

// @vscode/test-electron offers no way to end the VS Code that it started. As a process of its own it can be ended with all its tree.
await runTests(suiteLaunch.parse(JSON.parse(process.argv[2] ?? 'null')));
