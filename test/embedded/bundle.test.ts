import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { cachedBy, EngineProcess, promptIds, saidBy } from './support/engineProcess.ts';
import { scratch, smallModel } from './support/smallModel.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

it('a bundle has every program of the engine: llama.cpp computes, and threads store KV and read it again', async () => {
  using folder = scratch();
  const outdir = join(folder.path, 'dist');
  await promisify(execFile)(process.execPath, [join(root, 'esbuild.mjs'), '--outdir', outdir], { cwd: root });
  const model = smallModel(folder.path);
  const ids = promptIds(300, 12);
  const start = (): Promise<EngineProcess> =>
    EngineProcess.startBundled(join(outdir, 'embedded.js'), join(folder.path, 'kv'), '--model', model);
  const first = await start();
  const computed = await first.complete(ids);
  await first.kill();
  const second = await start();
  const read = await second.complete(ids);
  await second.kill();
  expect([cachedBy(computed), cachedBy(read)]).toEqual([0, 288]);
  expect(saidBy(read)).toEqual(saidBy(computed));
});
