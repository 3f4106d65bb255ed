// The live suite: the product against a real vLLM, LMCache and llama-server, which `npm run engines:install` installs. Arguments are
// vitest's, such as a part of a file's name. The last line it prints is `N passed, N failed, N skipped`.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { figuresFile } from '../test/engines/live/figures.ts';
import { root, runVitest } from './vitestRun.ts';

const results = path.join(root, 'test-results');
mkdirSync(results, { recursive: true });
rmSync(figuresFile, { force: true });
const args = ['--config', 'test/engines/live/vitest.config.ts', ...process.argv.slice(2)];
const { passed, failed, skipped } = await runVitest(path.join(results, 'engines.json'), args);
if (existsSync(figuresFile)) console.log(readFileSync(figuresFile, 'utf8'));
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
