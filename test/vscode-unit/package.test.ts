import { PackageManager, listFiles } from '@vscode/vsce';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { packageProblems } from '../../scripts/packageProblems.ts';
import { engineFor, packageTargets } from '../../scripts/packageTargets.ts';
import { writeSlimEngine } from '../../scripts/slimEngine.ts';
import { vsixFiles } from '../../scripts/vsixFiles.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

describe('the VSIX', () => {
  test('holds what runs, what is shown and what is to be read, and nothing else of the repository', async () => {
    const files = await listFiles({ cwd: root, packageManager: PackageManager.None });
    const wanted =
      /^(package\.json|README\.md|CHANGELOG\.md|LICENSE|dist\/[\w-]+\.(js|css|wasm)|dist\/node_modules\/(node-llama-cpp|@node-llama-cpp\/[\w-]+)\/.+|media\/(icon\.png|activity\.svg|walkthrough\/\w+\.svg)|syntaxes\/[\w.-]+\.json|schemas\/projectConfig\.json|docs\/.+)$/;
    expect(files.filter((file) => !wanted.test(file))).toEqual([]);
    expect(files).toEqual(expect.arrayContaining(['package.json', 'media/icon.png', 'media/activity.svg']));
    expect(files.filter((file) => file.startsWith('syntaxes/'))).toHaveLength(4);
  });
});

describe('the engine of a package', () => {
  test('finds its binaries, also where the node_modules that it was made of are a link', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'cwm-package-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await symlink(path.join(root, 'node_modules'), path.join(folder, 'node_modules'));
    const outdir = path.join(folder, 'dist');
    await writeSlimEngine(folder, outdir);
    const script = path.join(outdir, 'load.mjs');
    await writeFile(
      script,
      `import { getLlama } from 'node-llama-cpp';
       const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true });
       process.stdout.write(llama.buildType);
       await llama.dispose();`,
    );
    const { stdout } = await promisify(execFile)(process.execPath, [script]);
    expect(stdout).toBe('prebuilt');
  });
});

describe('npm run package', () => {
  test('makes a VSIX that has the engine of its platform and freezes and thaws with it, and says so of one that has not', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'cwm-package-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    // A runner's fresh checkout has no such folder yet.
    const out = path.join(folder, 'packages');
    const script = path.join(root, 'scripts', 'package.ts');
    const { stdout } = await promisify(execFile)(process.execPath, [script, '--out', out]);
    expect(stdout).toMatch(/^1 passed, 0 failed$/m);
    const [file = ''] = await readdir(out);
    expect(await firstVerdict(path.join(out, file), path.join(folder, 'unpacked'))).toBe('proven');
    const own = `${process.platform}-${process.arch}`;
    for (const target of Object.keys(packageTargets).filter((one) => one !== own)) {
      const problems = packageProblems(path.join(out, file), target);
      expect(problems).toContain(`its manifest does not name ${target}`);
      expect(problems.filter((problem) => problem.endsWith(`llama-addon.node is for ${own}`))).toHaveLength(1);
    }
  });

  test('ends by name for a platform that has no engine', () => {
    expect(() => engineFor(root, 'web')).toThrow('There is no target web. Targets: win32-x64,');
  });
});

/** Unpacks a VSIX as VS Code does, and has its command line try the engine in it. */
async function firstVerdict(vsix: string, folder: string): Promise<unknown> {
  for (const [name, read] of vsixFiles(vsix)) {
    const file = path.join(folder, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, read());
  }
  const cwm = (...args: string[]): Promise<{ stdout: string }> =>
    promisify(execFile)(process.execPath, [
      path.join(folder, 'extension/dist/cli.js'),
      ...args,
      '--storage',
      path.join(folder, 'storage'),
      '--json',
    ]);
  try {
    const { stdout } = await cwm('use', 'embedded');
    return (JSON.parse(stdout) as { receipt: { verdict: unknown } | null }).receipt?.verdict;
  } finally {
    await cwm('stop');
  }
}
