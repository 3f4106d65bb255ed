import { PackageManager, listFiles } from '@vscode/vsce';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

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
