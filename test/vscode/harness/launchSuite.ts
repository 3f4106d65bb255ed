import { TestRunFailedError, runTests } from '@vscode/test-electron';
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
// SIGTERM reaches VS Code as well (one process group); it needs us only as long as it takes to close.
process.on('SIGTERM', () => undefined);
try {
  await runTests(suiteLaunch.parse(JSON.parse(process.argv[2] ?? 'null')));
} catch (error) {
  if (!(error instanceof TestRunFailedError)) throw error;
  process.exitCode = error.code ?? 1; // told by the exit code alone: the report holds what failed
}
