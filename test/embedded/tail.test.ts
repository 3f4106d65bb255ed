import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { coreOver } from '../engines/llamaServer/coreOver.ts';
import { EngineProcess } from './support/engineProcess.ts';
import { restartableEngine } from './support/restartableEngine.ts';
import { scratch, smallModel } from './support/smallModel.ts';

const never = new AbortController().signal;

/** A window over a real engine, and what a restart of the engine's process makes of it. */
async function frozenOn(env: NodeJS.ProcessEnv) {
  const folder = scratch();
  const kvDir = join(folder.path, 'kv');
  const flags = ['--model', smallModel(folder.path)];
  onTestFinished(() => folder[Symbol.dispose]());
  const { engine, server, restart } = await restartableEngine(() => EngineProcess.startWith(env, kvDir, ...flags));
  const core = await coreOver(engine);
  onTestFinished(() => core.dispose());
  const frozen = await core.keep();
  const sizes = async () => new Map([...(await server().blockFiles())].map(([path, { length }]) => [path, length]));
  const most = Math.max(...(await sizes()).values());
  const [tail = ''] = [...(await sizes())].find(([, size]) => size < most) ?? [];
  const bytes = [...(await sizes()).values()].reduce((sum, size) => sum + size, 0);
  return { ...core, frozen, tail, bytes, restart };
}

test.each([
  ['in clear', {}],
  ['encrypted', { CWM_KV_KEY: 'a'.repeat(64) }],
])('a thaw computes one token, and its canary proves the tail as well, %s', async (_, env) => {
  const rig = await frozenOn(env);
  const { cwm, frozen, tail, bytes, restart } = rig;
  const tokens = frozen.tokens ?? 0;
  expect(tail).not.toBe('');
  expect((tokens - 1) % 32).toBeGreaterThan(0);
  expect(frozen.kvBytes).toBe(bytes);
  const whole = { verdict: 'proven', cachedTokens: tokens - 1, floorTokens: tokens - 1 };
  const agreed = { canary: 'agreed', canaryDifference: 0, checksums: 'agreed', blocksMissing: 0 };

  await restart();
  expect(await rig.thaw()).toMatchObject({ ...whole, content: agreed, repair: 'none' });

  // A clone shares the file, and the last window takes it with it.
  expect(await cwm.clone({ window: 'w', target: 'copy' }, never)).toMatchObject({ kvBytesWritten: 0 });
  const healthy = readFileSync(tail);

  // Gone, it is a miss: the whole blocks are all that can be reused, bit for bit.
  rmSync(tail);
  await restart();
  const without = await rig.thaw();
  expect(without).toMatchObject({ verdict: 'proven', content: { canary: 'agreed', canaryDifference: 0 } });
  expect(without.cachedTokens).toBe(Math.floor((tokens - 1) / 32) * 32);

  // Damaged, it is a miss as well, never believed, and stored again.
  healthy[150] = (healthy[150] ?? 0) ^ 1;
  writeFileSync(tail, healthy);
  await restart();
  const repaired = await rig.thaw();
  expect(repaired.cachedTokens).toBe(Math.floor((tokens - 1) / 32) * 32);
  expect(repaired.verdict).toBe('partial');
  expect(repaired.content).toMatchObject({ blocksDamaged: 1, canary: 'agreed' });
  await restart();
  expect(await rig.thaw()).toMatchObject(whole);
  expect((await rig.answer('s')).cachedTokens).toBeGreaterThan(0);

  await cwm.deleteWindow({ window: 'w' }, never);
  expect(existsSync(tail)).toBe(true);
  await cwm.deleteWindow({ window: 'copy' }, never);
  expect(existsSync(tail)).toBe(false);
});
