// Runs the suites inside the extension host of a real VS Code: `node test/vscode/runSuite.ts [RESULT.json [SUITE ...]]`. `node esbuild.mjs`
// first. Writes `{passed, failed, skipped}`, exits 1 when a test failed.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isNightly } from '../support/nightly.ts';
import { chatStory } from './chatStory.ts';
import { folderStory } from './folderStory.ts';
import { runSuite } from './harness/runSuite.ts';
import { packageExtension } from './packageExtension.ts';
import { writeProject } from './ui/projectFolder.ts';

const temporary = mkdtempSync(path.join(tmpdir(), 'cwm-suite-'));
const folder = path.join(temporary, 'orchard');
mkdirSync(folder);
writeProject(folder);

/** They open several windows, one after another. That of the chat has a real model, which takes minutes for the prompts of agent mode. */
const stories = { folders: folderStory, chatStory };
const ofNights = ['chatStory'];
const isStory = (name: string): name is keyof typeof stories => name in stories;
const outcome = { passed: 0, failed: 0, skipped: 0 };
const add = ({ passed, failed, skipped }: Readonly<typeof outcome>): void => {
  outcome.passed += passed;
  outcome.failed += failed;
  outcome.skipped += skipped;
};
try {
  const only = process.argv.slice(3);
  const all = [
    'activation',
    'mainJob',
    'encryption',
    'engineDown',
    'chat',
    'chatWindow',
    'chatDoors',
    'folders',
    'chatStory',
  ];
  const suites = only.length > 0 ? only : all.filter((name) => isNightly || !ofNights.includes(name));
  const vsix = await packageExtension(temporary);
  const log = (line: string): void => console.log(line);
  const fileOf = (name: string): string => path.join(import.meta.dirname, 'suite', `${name}.suite.ts`);
  const testFiles = suites.filter((name) => !isStory(name)).map(fileOf);
  if (testFiles.length > 0) {
    // The suite of the editor's own chat needs its AI features, which the others do not mind. A VS Code more would take longer.
    const settings = { 'chat.disableAIFeatures': false };
    add(await runSuite({ testFiles, vsix: [vsix], folder, settings, timeoutMs: 1_800_000, log }));
  }
  for (const name of suites.filter(isStory)) {
    const place = path.join(temporary, name);
    mkdirSync(place);
    add(await stories[name]({ vsix, place, log }));
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  outcome.failed += 1;
} finally {
  rmSync(temporary, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}
const [resultFile] = process.argv.slice(2);
if (resultFile !== undefined) writeFileSync(resultFile, JSON.stringify(outcome));
console.log(`extension host: ${outcome.passed} passed, ${outcome.failed} failed, ${outcome.skipped} skipped`);
process.exitCode = outcome.failed === 0 ? 0 : 1;
