import { fstatSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { HarnessError } from './harnessError.ts';
import { runInBrowser } from './runInBrowser.ts';

/**
 * Stands where the desktop `code` binary stands for @vscode/test-electron and @vscode/test-cli: takes the arguments it takes, runs
 * the suite in code-server's extension host, exits with the suite's exit code (3: the suite never ended; the reason is on stderr).
 * Beyond a desktop's ability, `--install-extension=FILE.vsix` may be given together with a suite, and `--browser-profile=FOLDER` for the
 * part of the profile that a desktop has in its user data.
 */
async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    strict: false, // Electron's own switches are no concern of ours
    options: {
      extensionDevelopmentPath: { type: 'string', multiple: true },
      extensionTestsPath: { type: 'string' },
      'user-data-dir': { type: 'string' },
      'extensions-dir': { type: 'string' },
      'browser-profile': { type: 'string' },
      'install-extension': { type: 'string', multiple: true },
      'folder-uri': { type: 'string' },
    },
  });
  const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
  const testsPath = text(values.extensionTestsPath);
  if (testsPath === undefined) throw new HarnessError('--extensionTestsPath is missing.');
  const folderUri = text(values['folder-uri']);
  const folder = folderUri === undefined ? positionals[0] : fileURLToPath(folderUri);
  return runInBrowser({
    folder: folder === undefined ? undefined : path.resolve(folder),
    extensionDevelopmentPaths: (values.extensionDevelopmentPath ?? []).map(String),
    extensionTestsPath: testsPath,
    vsix: (values['install-extension'] ?? []).map(String),
    userDataDir: text(values['user-data-dir']),
    extensionsDir: text(values['extensions-dir']),
    browserProfile: text(values['browser-profile']),
    timeoutMs: Number(process.env['CWM_SUITE_TIMEOUT_MS'] ?? 600_000),
  });
}

/** Our starter holds the other end of stdin: when it closes, the starter is gone, even by SIGKILL, and nobody wants the result. */
function endWithParent(): void {
  if (!fstatSync(0).isSocket()) return; // a terminal, a file, /dev/null
  process.stdin.on('end', () => process.kill(process.pid, 'SIGTERM')).resume();
  process.stdin.unref();
}

endWithParent();
try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof HarnessError ? error.message : error);
  process.exitCode = 3;
}
