import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { deleteUnreadableKv, hashProfile, openKvNamespace } from '../../../src/embedded/kv/files/kvNamespace.ts';
import { scratch } from '../support/smallModel.ts';

it('KV of an older format, in clear or under another key is deleted where KV is encrypted; everything else in the folder stays', async () => {
  using folder = scratch();
  const current = openKvNamespace(folder.path, {
    modelSha256: 'a'.repeat(64),
    llamaCpp: 'v1',
    keyId: 'ours',
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
  const unreadable = [
    make('0'.repeat(32), '{"formatVersion":1}'),
    make('3'.repeat(32), '{"formatVersion":2}'),
    make('5'.repeat(32), '{"formatVersion":3}'),
    make('6'.repeat(32), '{"formatVersion":3,"keyId":"ours"}'),
    make('4'.repeat(32), '{"formatVersion":4,"keyId":"theirs"}'),
  ];
  const others = [
    make('1'.repeat(32), '{"formatVersion":5}'),
    make('2'.repeat(32), '{'),
    make('models', '{"formatVersion":1}'),
  ];
  await deleteUnreadableKv(folder.path, 'ours');
  expect(unreadable.some((path) => existsSync(path))).toBe(false);
  expect([current, ...others].every((path) => existsSync(path))).toBe(true);
});
