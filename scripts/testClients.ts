// Programs that nobody here wrote use the gateway and the MCP server, in front of a real model: those of every run, and all of them with
// CWM_NIGHTLY=1. `npm run clients:install` and `npm run engines:install gemma` bring what they need. Arguments are vitest's. The last line is
// `N passed, N failed, N skipped`.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { figuresFile } from '../test/engines/live/figures.ts';
import { root, runVitest } from './vitestRun.ts';

const results = path.join(root, 'test-results');
mkdirSync(results, { recursive: true });
rmSync(figuresFile, { force: true });
const args = ['--config', 'test/clients/vitest.config.ts', ...process.argv.slice(2)];
const { passed, failed, skipped } = await runVitest(path.join(results, 'clients.json'), args);
if (existsSync(figuresFile)) console.log(readFileSync(figuresFile, 'utf8'));
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
