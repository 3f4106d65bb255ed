// Runs the suites inside the extension host of a real VS Code: `node test/vscode/runSuite.ts [RESULT.json [SUITE ...]]`. `node esbuild.mjs`
// first. Writes `{passed, failed, skipped}`, exits 1 when a test failed.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runSuite } from './harness/runSuite.ts';
import { packageExtension } from './packageExtension.ts';
import { writeProject } from './ui/projectFolder.ts';

const temporary = mkdtempSync(path.join(tmpdir(), 'cwm-suite-'));
const folder = path.join(temporary, 'orchard');
mkdirSync(folder);
writeProject(folder);

const outcome = { passed: 0, failed: 0, skipped: 0 };
try {
  const only = process.argv.slice(3);
  const suites = only.length > 0 ? only : ['activation', 'mainJob', 'encryption', 'engineDown'];
  const result = await runSuite({
    testFiles: suites.map((name) => path.join(import.meta.dirname, 'suite', `${name}.suite.ts`)),
    vsix: [await packageExtension(temporary)],
    folder,
    timeoutMs: 400_000,
    log: (line) => console.log(line),
  });
  Object.assign(outcome, { passed: result.passed, failed: result.failed, skipped: result.skipped });
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  outcome.failed = 1;
} finally {
  rmSync(temporary, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}
const [resultFile] = process.argv.slice(2);
if (resultFile !== undefined) writeFileSync(resultFile, JSON.stringify(outcome));
console.log(`extension host: ${outcome.passed} passed, ${outcome.failed} failed, ${outcome.skipped} skipped`);
process.exitCode = outcome.failed === 0 ? 0 : 1;
