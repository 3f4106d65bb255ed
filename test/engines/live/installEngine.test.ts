import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { engineFolder, engineRecipes } from './engineRecipe.ts';
import { installEngine, NoBuilds } from './installEngine.ts';
import { venvPython } from './python.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cwm-install-'));
  for (const name of ['XDG_CACHE_HOME', 'LOCALAPPDATA', 'HOME']) vi.stubEnv(name, folder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

const options = { signal: new AbortController().signal, log: () => undefined };
const { lmcache, vllm } = engineRecipes;

/** What a complete installation of vLLM looks like from outside. */
async function pretendVllm(pythonVersion: string): Promise<void> {
  const python = venvPython(engineFolder(vllm));
  await mkdir(dirname(python), { recursive: true });
  await writeFile(python, '');
  await writeFile(join(engineFolder(vllm), 'complete.json'), JSON.stringify({ python: pythonVersion }));
}

test('an engine without builds for the Python of the one that it runs on is told from one that fails', async () => {
  await pretendVllm('3.14');
  const install = installEngine({ ...lmcache, platform: process.platform }, options);
  await expect(install).rejects.toThrow(NoBuilds);
  await expect(install).rejects.toThrow('There are builds of lmcache for Python 3.11 to 3.13 only.');
});

test('an engine without builds for this system is told as well', async () => {
  await pretendVllm('3.12');
  const platform = process.platform === 'linux' ? 'win32' : 'linux';
  await expect(installEngine({ ...lmcache, platform }, options)).rejects.toThrow(NoBuilds);
});
