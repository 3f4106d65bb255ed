import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { deleteOlderKv, hashProfile, openKvNamespace } from '../../../src/embedded/kv/kvNamespace.ts';
import { scratch } from '../support/smallModel.ts';

it('KV of an older format is deleted as the cache that it is; everything else in the folder stays', async () => {
  using folder = scratch();
  const current = openKvNamespace(folder.path, {
    modelSha256: 'a'.repeat(64),
    llamaCpp: 'v1',
    layout: null,
    blockTokens: 32,
    hashProfile,
    positionContext: null,
  });
  const make = (name: string, config: string): string => {
    mkdirSync(join(folder.path, name, '00'), { recursive: true });
    writeFileSync(join(folder.path, name, 'config.json'), config);
    return join(folder.path, name);
  };
  const older = make('0'.repeat(32), '{"formatVersion":1}');
  const others = [
    make('1'.repeat(32), '{"formatVersion":3}'),
    make('2'.repeat(32), '{'),
    make('models', '{"formatVersion":1}'),
  ];
  await deleteOlderKv(folder.path);
  expect(existsSync(older)).toBe(false);
  expect([current, ...others].every((path) => existsSync(path))).toBe(true);
});
