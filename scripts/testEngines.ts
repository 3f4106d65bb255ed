// The live suite: the product against a real vLLM and a real llama-server, which `npm run engines:install` brings. Arguments are
// vitest's, such as a part of a file's name. The last line it prints is `N passed, N failed, N skipped`.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { root, runVitest } from './vitestRun.ts';

const results = path.join(root, 'test-results');
mkdirSync(results, { recursive: true });
const args = ['--config', 'test/engines/vitest.config.ts', ...process.argv.slice(2)];
const { passed, failed, skipped } = await runVitest(path.join(results, 'engines.json'), args);
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
