// Makes the documentation's pictures, and checks what they show: `npm run pictures [-- --store]`. It starts real llama-servers on
// the ports 8000 and 8080 (`npm run engines:install llama-server gemma` first). The pictures go to test-results/vscode/picture-*.png; `--store` copies
// those that the documentation has to docs/images. Look at them. The last line is `N passed, N failed, N skipped`.
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { run } from '../../scripts/vitestRun.ts';
import { withWorkbench } from './harness/withWorkbench.ts';
import { packageExtension } from './packageExtension.ts';
import { noOtherPlaces, startServers, writeHome } from './ui/machineWithModels.ts';
import { pictureFile, pictures } from './ui/pictures.ts';
import { writeProject } from './ui/projectFolder.ts';
import { runSteps } from './ui/steps.ts';

const images = path.resolve(import.meta.dirname, '../../docs/images');
const documented = ['choose-server', 'receipt'];
const temporary = mkdtempSync(path.join(tmpdir(), 'cwm-pictures-'));
const within = (name: string): string => path.join(temporary, name);
const [storage, folder, home] = [within('storage'), within('orchard'), within('home')];
const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort());

const outcome = { passed: 0, failed: 0, skipped: 0 };
try {
  if ((await run(process.execPath, ['esbuild.mjs'])) !== 0) throw new Error('The bundles could not be built.');
  mkdirSync(storage);
  writeProject(folder);
  await writeHome(home);
  await using servers = await startServers(temporary, interrupted.signal);
  void servers;
  await withWorkbench(
    {
      name: 'pictures',
      vsix: [await packageExtension(temporary)],
      folder,
      settings: { 'cwm.storageDirectory': storage, 'cwm.embedded.threads': 1, 'cwm.answer.maxTokens': 24 },
      environment: { ...noOtherPlaces, HOME: home },
      timeoutMs: 1_800_000,
      signal: interrupted.signal,
    },
    (workbench) => runSteps(pictures(workbench, storage), outcome),
  );
  if (process.argv.includes('--store')) {
    for (const name of documented) copyFileSync(pictureFile(name), path.join(images, `${name}.png`));
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  if (outcome.failed === 0) outcome.failed = 1;
} finally {
  if (existsSync(temporary)) rmSync(temporary, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}
console.log(`${outcome.passed} passed, ${outcome.failed} failed, ${outcome.skipped} skipped`);
process.exitCode = outcome.failed === 0 ? 0 : 1;
