import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { identifyProcess } from '../../src/backend/process/processIdentity.ts';
import { until } from '../support/until.ts';
import { readRecord, realBackends, realStart } from './support/realBackends.ts';
import { testProgram } from '../support/testProgram.ts';
import { isRunning } from '../support/isRunning.ts';

const { makeStorage, client } = realBackends();
const asUser = testProgram('backendAsUser');

const canMount =
  process.platform === 'linux' && spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/tmp']).status === 0;

/** Writes until the disk takes no more. */
function fill(path: string): void {
  const descriptor = openSync(path, 'w');
  try {
    for (;;) writeSync(descriptor, Buffer.alloc(4096));
  } catch {
    // It is full.
  } finally {
    closeSync(descriptor);
  }
}

describe('a storage directory that cannot be written', () => {
  // The administrator may write everywhere, so the backend runs as another user.
  it.skipIf(process.getuid?.() !== 0)(
    'is read, every change is refused with the reason, and nothing in it changes',
    async () => {
      const parent = makeStorage();
      const storage = join(parent, 'store');
      const runtime = join(parent, 'runtime');
      await client(storage).call('createSession', { id: 'mine', title: 'kept' });
      const { pid } = readRecord(storage);
      await client(storage, { start: null }).call('shutdown', {});
      await until('it has ended', () => !isRunning(pid));
      rmSync(join(storage, 'backend.log'));
      rmSync(join(storage, 'run'), { recursive: true, force: true });

      const user = 54_321;
      chmodSync(parent, 0o755);
      mkdirSync(runtime, { mode: 0o700 });
      chownSync(runtime, user, user);
      // Owned by the administrator and readable: what a read-only mount looks like.
      execFileSync('chmod', ['-R', 'a+rX', storage]);
      const before = readdirSync(storage);
      const output = execFileSync(process.execPath, [asUser, storage, String(user), realStart.entry], {
        encoding: 'utf8',
        env: { PATH: process.env['PATH'], XDG_RUNTIME_DIR: runtime, TMPDIR: runtime },
        timeout: 60_000,
      });
      const seen = JSON.parse(output) as { sessions: string[]; refusal: unknown; status: string };
      expect(seen.sessions).toEqual(['mine']);
      expect(seen.refusal).toMatchObject({ code: 'CWM-4001', message: expect.stringContaining('EACCES') });
      expect(seen.status).toBe('degraded');
      expect(readdirSync(storage)).toEqual(before);
      expect(existsSync(join(storage, 'backend.json'))).toBe(false);
    },
  );

  it.skipIf(!canMount)('a full disk is read, and a change finds the room that there is since', async () => {
    const place = makeStorage();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', place]);
    try {
      const storage = join(place, 'store');
      await client(storage).call('createSession', { id: 'mine' });
      const { pid } = readRecord(storage);
      await client(storage, { start: null }).call('shutdown', {});
      await until('it has ended', () => !isRunning(pid));
      fill(join(place, 'fill'));

      const one = client(storage);
      expect((await one.call('listSessions', {})).items.map(({ id }) => id)).toEqual(['mine']);
      await expect(one.call('createSession', { id: 'second' })).rejects.toMatchObject({ code: 'CWM-4003' });
      rmSync(join(place, 'fill'));
      expect((await one.call('createSession', { id: 'third' })).id).toBe('third');
      const last = readRecord(storage).pid;
      await one.call('shutdown', {});
      await until('the last one has ended', () => !isRunning(last));
    } finally {
      execFileSync('umount', ['-l', place]);
    }
  });
});

describe('a storage directory that two machines have', () => {
  it('is read on the second one, every change is refused with the name of the first, and nothing in it changes', async () => {
    const storage = makeStorage();
    const runtime = makeStorage();
    await client(storage).call('createSession', { id: 'mine', title: 'kept' });
    const { pid } = readRecord(storage);
    await client(storage, { start: null }).call('shutdown', {});
    await until('it has ended', () => !isRunning(pid));
    rmSync(join(storage, 'backend.log'));
    rmSync(join(storage, 'run'), { recursive: true, force: true });
    writeFileSync(
      join(storage, 'backend.lock.9'),
      JSON.stringify({ ...identifyProcess(process.pid), host: 'laptop', bootId: 'of the laptop' }),
    );
    const before = readdirSync(storage);
    vi.stubEnv('XDG_RUNTIME_DIR', runtime);
    try {
      const second = client(storage);
      expect((await second.call('listSessions', {})).items.map(({ id }) => id)).toEqual(['mine']);
      // A refused change ends the backend, so that the next one looks again: its record is there before.
      const [record] = readdirSync(runtime, { recursive: true }).filter((name) =>
        String(name).endsWith('backend.json'),
      );
      const { pid: own } = JSON.parse(readFileSync(join(runtime, String(record)), 'utf8')) as { pid: number };
      await expect(second.call('createSession', { id: 'other' })).rejects.toMatchObject({
        message: expect.stringContaining('in use on another machine, "laptop"') as unknown,
      });
      // What the process itself prints goes there.
      const added = readdirSync(storage).filter((name) => !before.includes(name) && name !== 'backend.log');
      expect(added).toEqual([]);
      await second.call('shutdown', {});
      await until('it has ended', () => !isRunning(own));
    } finally {
      vi.unstubAllEnvs();
    }
  });
});
