import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { buildOnce, builtFacts } from './buildOnce.ts';

let root: string;
let folder: string;
let lines: string[];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cwm-build-'));
  folder = join(root, 'thing');
  lines = [];
});
afterEach(() => rm(root, { recursive: true, force: true }));

const options = { signal: new AbortController().signal, log: (line: string) => lines.push(line) };

test('what is complete is not built again', async () => {
  expect(await buildOnce(folder, async () => ({ version: '1' }), options)).toBe(true);
  expect(await buildOnce(folder, () => Promise.reject(new Error('built again')), options)).toBe(false);
  expect(await builtFacts(folder)).toMatchObject({ version: '1' });
});

test('an interrupted build is begun again from nothing', async () => {
  await mkdir(folder);
  await writeFile(join(folder, 'half'), '');
  await buildOnce(folder, async () => ({}), options);
  expect(existsSync(join(folder, 'half'))).toBe(false);
});

test('a build that fails is not taken for complete, and can be tried again', async () => {
  await expect(buildOnce(folder, () => Promise.reject(new Error('no space')), options)).rejects.toThrow('no space');
  expect(await builtFacts(folder)).toBeUndefined();
  expect(await buildOnce(folder, async () => ({}), options)).toBe(true);
});

test('what is complete but of no use any more is built again', async () => {
  await buildOnce(folder, async () => ({}), options);
  expect(await buildOnce(folder, async () => ({}), { ...options, usable: async () => false })).toBe(true);
});

test('two that ask at once build once; the second waits and says so', async () => {
  let builds = 0;
  const release = Promise.withResolvers<void>();
  const build = async (): Promise<Record<string, unknown>> => {
    builds++;
    await release.promise;
    return {};
  };
  const waits = Promise.withResolvers<void>();
  const both = [0, 1].map(() => buildOnce(folder, build, { ...options, log: () => waits.resolve() }));
  await waits.promise;
  release.resolve();
  expect((await Promise.all(both)).toSorted((a, b) => Number(a) - Number(b))).toEqual([false, true]);
  expect(builds).toBe(1);
});

test('the next builder does not wait for one that was killed', async () => {
  const builder = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    `import { buildOnce } from ${JSON.stringify(join(import.meta.dirname, 'buildOnce.ts'))};
     const options = { signal: new AbortController().signal, log: () => {} };
     await buildOnce(${JSON.stringify(folder)}, () => { console.log('building'); setInterval(() => {}, 1e6); return new Promise(() => {}); }, options);`,
  ]);
  await once(builder.stdout, 'data');
  builder.kill('SIGKILL');
  await once(builder, 'exit');
  expect(await buildOnce(folder, async () => ({}), options)).toBe(true);
});

test('an abort ends the wait for another builder', async () => {
  const builds = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const build = async (): Promise<Record<string, unknown>> => {
    builds.resolve();
    await release.promise;
    return {};
  };
  const first = buildOnce(folder, build, options);
  await builds.promise;
  const abort = new AbortController();
  const second = buildOnce(folder, async () => ({}), {
    signal: abort.signal,
    log: () => abort.abort(new Error('enough')),
  });
  await expect(second).rejects.toThrow();
  release.resolve();
  expect(await first).toBe(true);
});
