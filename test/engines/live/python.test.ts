import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { findPython } from './python.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cwm-python-'));
  vi.stubEnv('PATH', folder);
  vi.stubEnv('CWM_PYTHON', '');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

const signal = new AbortController().signal;

/** Something that answers like an interpreter of this version. */
async function fakePython(name: string, minor: number, venv: boolean): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\necho '{"path": "${path}", "minor": ${minor}, "venv": ${venv}}'\n`);
  await chmod(path, 0o755);
  return path;
}

test.skipIf(process.platform === 'win32')("the user's own python3 comes first, then newer ones by name", async () => {
  const own = await fakePython('python3', 11, true);
  const named = await fakePython('python3.13', 13, true);
  expect(await findPython(11, 14, signal)).toEqual({ path: own, version: '3.11' });
  expect(await findPython(12, 14, signal)).toEqual({ path: named, version: '3.13' });
});

test.skipIf(process.platform === 'win32')(
  'without a fitting Python the message says what was found and what to install',
  async () => {
    await fakePython('python3', 9, true);
    await fakePython('python3.12', 12, false);
    await expect(findPython(11, 14, signal)).rejects.toThrow(
      /3\.11 to 3\.14 with venv is needed.*\(3\.9\).*\(3\.12, without venv\).*apt-get install/,
    );
  },
);

test('without any Python the message says so', async () => {
  await expect(findPython(11, 14, signal)).rejects.toThrow(/found no Python at all/);
});
