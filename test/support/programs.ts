// The programs that process tests start hundreds of times, bundled once for a run of vitest: a bundle starts in half the time of its
// sources. vitest.config.ts puts `bundledEntryPoint.ts` in the place of `src/base/entryPoint.ts`. Beside them, Node.js stores what it compiled
// of them, which halves the time of a start once more; it goes with the run, since the next one has other bundles.
import { build } from 'esbuild';
import { copyFileSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { bundledProcesses } from '../../scripts/bundles.ts';
import { testPrograms } from './testProgram.ts';
import { isRunning } from './isRunning.ts';

const cache = path.resolve(import.meta.dirname, '../../.cache');
const prefix = 'programs-';

/** @returns what removes them; nothing where another project of this run has made them. */
export async function setup(): Promise<(() => void) | undefined> {
  if (process.env['CWM_TEST_PROGRAMS'] !== undefined) return undefined;
  mkdirSync(cache, { recursive: true });
  removeAbandoned();
  const folder = path.join(cache, `${prefix}${process.pid}`);
  const entryPoints = { ...bundledProcesses.entryPoints, ...testPrograms };
  await build({ ...bundledProcesses, entryPoints, outdir: folder, logLevel: 'warning' });
  copyFileSync(createRequire(import.meta.url).resolve('sql.js/dist/sql-wasm.wasm'), path.join(folder, 'sql-wasm.wasm'));
  process.env['CWM_TEST_PROGRAMS'] = folder;
  process.env['NODE_COMPILE_CACHE'] = path.join(folder, 'compiled');
  return () => rmSync(folder, { recursive: true, force: true });
}

/** A run that was killed left its folder. */
function removeAbandoned(): void {
  for (const name of readdirSync(cache)) {
    const pid = Number(name.startsWith(prefix) ? name.slice(prefix.length) : NaN);
    if (Number.isInteger(pid) && !isRunning(pid)) rmSync(path.join(cache, name), { recursive: true, force: true });
  }
}
