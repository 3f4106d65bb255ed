import { PackageManager, listFiles } from '@vscode/vsce';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { writeSlimEngine } from '../../scripts/slimEngine.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

describe('the VSIX', () => {
  test('holds what runs, what is shown and what is to be read, and nothing else of the repository', async () => {
    const files = await listFiles({ cwd: root, packageManager: PackageManager.None });
    const wanted =
      /^(package\.json|README\.md|CHANGELOG\.md|LICENSE|dist\/[\w-]+\.(js|cjs|wasm)|dist\/node_modules\/(node-llama-cpp|@node-llama-cpp\/[\w-]+)\/.+|media\/(icon\.png|activity\.svg)|syntaxes\/[\w.-]+\.json|docs\/.+)$/;
    expect(files.filter((file) => !wanted.test(file))).toEqual([]);
    expect(files).toEqual(expect.arrayContaining(['package.json', 'media/icon.png', 'media/activity.svg']));
    expect(files.filter((file) => file.startsWith('syntaxes/'))).toHaveLength(2);
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
