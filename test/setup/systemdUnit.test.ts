import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { startAtLogin } from '../../src/setup/atLogin.ts';
import { temporaryDirectories } from '../backend/support/temporaryDirectory.ts';

const makeDirectory = temporaryDirectories();
/** Null: this machine has none. */
const verifier = ['/usr/bin/systemd-analyze', '/bin/systemd-analyze'].find((file) => existsSync(file)) ?? null;

/** @param args of the program that the login starts; it must be there, since systemd looks. */
async function verified(args: readonly string[]) {
  const home = makeDirectory();
  const system = { home, env: {}, platform: 'linux', hasSystemd: true, run: () => Promise.resolve() };
  const { file } = await startAtLogin(system, { command: process.execPath, args, env: { ELECTRON_RUN_AS_NODE: '1' } });
  const env = { PATH: process.env['PATH'], HOME: home, XDG_RUNTIME_DIR: home };
  const command = ['verify', '--user', '--man=no', file];
  const { status, stdout, stderr } = spawnSync(verifier ?? '', command, { encoding: 'utf8', env });
  return { status, said: stdout + stderr };
}

test
  .skipIf(verifier === null)
  .each([[['/lib/backend.js', '--storage', '/data']], [['/lib dir/backend.js', '--storage', '/data/50%$HOME"q"\\']]])(
  'systemd itself finds nothing wrong with the unit that a login starts: %j',
  async (args) => {
    expect(await verified(args)).toEqual({ status: 0, said: '' });
  },
);
