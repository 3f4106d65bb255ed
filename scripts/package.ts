// Makes a VSIX for each target, and reads it again: `npm run package [-- --target win32-x64 …] [-- --all]`. Without a target it is the one
// of this machine; `--out DIR` is where the files go. A binary that cannot be had, or one of another platform in a package, ends it by name. The last line is
// `N passed, N failed`.
import { createVSIX } from '@vscode/vsce';
import { cpSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { packageProblems } from './packageProblems.ts';
import { engineFor, packageTargets } from './packageTargets.ts';
import { root, run } from './vitestRun.ts';

const { values } = parseArgs({
  options: { target: { type: 'string', multiple: true }, all: { type: 'boolean' }, out: { type: 'string' } },
});
const own = `${process.platform}-${process.arch}`;
const targets = values.all ? Object.keys(packageTargets) : (values.target ?? [own]);
const { name, version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as Record<string, string>;

let failed = 0;
for (const target of targets) {
  try {
    const file = await makePackage(target);
    const problems = packageProblems(file, target);
    if (problems.length > 0) throw new Error(`${path.basename(file)}: ${problems.join('; ')}.`);
    console.log(`${path.basename(file)}  ${(statSync(file).size / 1e6).toFixed(1)} MB`);
  } catch (error) {
    failed++;
    console.error(error instanceof Error ? error.message : error);
  }
}
console.log(`${targets.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/** In a folder of its own, so that dist/ stays what this machine runs. @returns the VSIX. */
async function makePackage(target: string): Promise<string> {
  engineFor(root, target);
  const stage = path.join(root, '.cache', 'package', target);
  rmSync(stage, { recursive: true, force: true });
  mkdirSync(stage, { recursive: true });
  for (const part of [
    '.vscodeignore',
    'package.json',
    'README.md',
    'CHANGELOG.md',
    'LICENSE',
    'docs',
    'media',
    'syntaxes',
    'schemas',
  ]) {
    cpSync(path.join(root, part), path.join(stage, part), { recursive: true });
  }
  const outdir = path.join(stage, 'dist');
  if ((await run(process.execPath, ['esbuild.mjs', '--target', target, '--outdir', outdir])) !== 0) {
    throw new Error(`The bundles for ${target} could not be built.`);
  }
  const packagePath = path.join(path.resolve(root, values.out ?? '.'), `${name}-${target}-${version}.vsix`);
  mkdirSync(path.dirname(packagePath), { recursive: true });
  await createVSIX({
    cwd: stage,
    packagePath,
    target,
    dependencies: false,
    allowMissingRepository: true,
    rewriteRelativeLinks: false,
  });
  return packagePath;
}
