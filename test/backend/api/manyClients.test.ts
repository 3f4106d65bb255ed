import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { lockHolder } from '../../../src/backend/process/backendLock.ts';
import { kindOfFileSystem, networkFileSystem } from '../../../src/backend/health/networkFileSystem.ts';
import { isAnnounced } from '../../../src/backend/process/recordFile.ts';
import { backendEntry, killHard, readRecord, realBackends } from '../../client/support/realBackends.ts';
import { ClientProcess } from '../../soak/clientProcess.ts';
import { outputOf, type Outcome } from '../../soak/request.ts';
import { temporaryDirectories } from '../support/temporaryDirectory.ts';
import { runs } from '../../support/nightly.ts';
import { until } from '../../support/until.ts';

const { makeStorage } = realBackends();
const makeDirectory = temporaryDirectories();
const processes: ClientProcess[] = [];
const manyClients = runs(6, 20);

afterEach(() => {
  for (const process of processes.splice(0)) process.end();
});

function clientProcesses(storage: string, kinds: readonly string[]): ClientProcess[] {
  const started = kinds.map((kind) => new ClientProcess(storage, kind));
  processes.push(...started);
  return started;
}

const pidOf = (outcome: Outcome): number =>
  outcome.kind === 'done' ? outputOf('health', outcome.output).pid : expect.unreachable(JSON.stringify(outcome));

describe('one backend for many', () => {
  it(`S0-04 of the backends that ${manyClients} client processes start at once, one stays; so it is after each kill -9 of it`, async () => {
    const storage = makeStorage();
    const clients = clientProcesses(storage, Array<string>(manyClients).fill('script'));
    const seen = new Set<number>();
    for (let kills = 0; kills < 3; kills++) {
      const answers = await Promise.all(clients.map((client) => client.ask({ name: 'health', input: {} })));
      const pids = new Set(answers.map(pidOf));
      expect(pids.size).toBe(1);
      const [pid] = [...pids];
      expect(lockHolder(storage)?.pid).toBe(pid);
      seen.add(pid!);
      await killHard(pid!);
    }
    expect(seen.size).toBe(3);
  });

  it('S4-40 two windows of VS Code and a script show changes of the others, and continue after a kill -9', async () => {
    const storage = makeStorage();
    const [one, two, script, cli] = clientProcesses(storage, ['vscode', 'vscode', 'script', 'cli']);
    const shows = (client: ClientProcess | undefined, ...wanted: string[]): Promise<unknown> =>
      until(`it shows ${wanted.join(', ')}`, async () => {
        const picture = await client?.look();
        return JSON.stringify(Object.keys(picture?.sessions ?? {}).sort()) === JSON.stringify(wanted);
      });
    const create = (client: ClientProcess | undefined, id: string): Promise<Outcome> | undefined =>
      client?.ask({ name: 'createSession', input: { id, engine: 'http://127.0.0.1:9' } });
    expect(await create(one, 'a')).toMatchObject({ kind: 'done' });
    expect(await create(cli, 'b')).toMatchObject({ kind: 'done' });
    for (const client of [one, two, script]) await shows(client, 'a', 'b');
    await killHard(readRecord(storage).pid);
    expect(await create(two, 'c')).toMatchObject({ kind: 'done' });
    for (const client of [one, two, script]) await shows(client, 'a', 'b', 'c');
  });

  it('the record of a killed backend says nothing about the present owner of the directory', () => {
    const storage = makeDirectory();
    const record = { pid: process.ppid, version: '1', address: '/nowhere', startedAt: '' };
    writeFileSync(join(storage, 'backend.json'), JSON.stringify(record));
    expect(isAnnounced(storage, process.pid)).toBe(false);
    expect(isAnnounced(storage, process.ppid)).toBe(true);
  });
});

describe('where the storage directory lies', () => {
  it('a network file system is known by its number, with or without a sign', () => {
    expect(kindOfFileSystem(0x6969)).toBe('NFS');
    expect(kindOfFileSystem(0xff534d42)).toBe('CIFS');
    expect(kindOfFileSystem(0xff534d42 | 0)).toBe('CIFS');
    expect(kindOfFileSystem(0xef53)).toBeNull();
  });

  it('a local one, and one that is not there, get no warning', async () => {
    expect(await networkFileSystem('/proc')).toBeNull();
    expect(await networkFileSystem(join(makeDirectory(), 'not-there'))).toBeNull();
  });

  const namespaces = spawnSync('unshare', ['-Urm', 'true']).status === 0;
  it.skipIf(!namespaces)('on a read-only file system a backend does not start, and says why', () => {
    const place = join(makeDirectory(), 'place');
    mkdirSync(place);
    const script =
      'mount -t tmpfs none "$1" && mkdir "$1/store" && mount -o remount,ro "$1" && exec "$2" "$3" --storage "$1/store"';
    const args = ['-Urm', 'sh', '-c', script, 'sh', place, process.execPath, backendEntry];
    const { status, stderr } = spawnSync('unshare', args, { encoding: 'utf8', timeout: 50_000 });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^The backend \(process \d+\) could not start: .* \(CWM-4001\) .*read-only/);
  });
});
