import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { engineRecipes } from './engineRecipe.ts';
import { installedPython, installEngine } from './installEngine.ts';

const recipe = engineRecipes['llama-server'];
let folder: string;
let lines: string[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cwm-install-'));
  lines = [];
  for (const name of ['XDG_CACHE_HOME', 'LOCALAPPDATA', 'HOME']) vi.stubEnv(name, folder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

const options = { signal: new AbortController().signal, log: (line: string) => lines.push(line) };

test('when pip fails the message ends with what pip said, and the next try begins again', async () => {
  vi.stubEnv('PIP_NO_INDEX', '1');
  await expect(installEngine(recipe, options)).rejects.toThrow(
    /pip .*install.* ended with 1[^]*No matching distribution found/,
  );
  expect(installedPython(recipe)).toBeUndefined();
  expect(lines[0]).toContain(recipe.cost);

  vi.stubEnv('PIP_NO_INDEX', '');
  const { python } = await installEngine(recipe, options);
  expect(installedPython(recipe)).toBe(python);
});

test('two installations at once install once', async () => {
  await Promise.all([installEngine(recipe, options), installEngine(recipe, options)]);
  expect(lines.filter((line) => line.includes(recipe.cost))).toHaveLength(1);
  expect(lines.filter((line) => line.includes('is installed'))).toHaveLength(1);
  expect(lines.filter((line) => line.includes('was there already'))).toHaveLength(1);
});
