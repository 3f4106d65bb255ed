import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { freePort, startGuarded, type ServerStart } from './guardedServer.ts';
import { until } from '../../support/until.ts';
import { isRunning } from '../../support/isRunning.ts';

/** Answers /health, has a helper process that ignores polite signals, and leaves a file behind. */
const serverCode = `
const helper = require('node:child_process').spawn(process.execPath, ['-e', 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1e6)']);
require('node:fs').writeFileSync('pids', process.pid + ' ' + helper.pid);
require('node:fs').writeFileSync('left-1', '');
require('node:http').createServer((_, answer) => answer.end()).listen(Number(process.argv[1]), '127.0.0.1');
`;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cwm-guard-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const signal = new AbortController().signal;

async function serverStart(code = serverCode): Promise<ServerStart> {
  const port = await freePort();
  return {
    name: `test-${port}`,
    url: `http://127.0.0.1:${port}`,
    command: process.execPath,
    args: ['-e', code, String(port)],
    cwd: folder,
    env: process.env,
    leftovers: [join(folder, 'left-*')],
    readyWithinMs: 20_000,
    signal,
  };
}

async function pids(): Promise<number[]> {
  return (await readFile(join(folder, 'pids'), 'utf8')).split(' ').map(Number);
}

const gone = async (all: readonly number[]): Promise<true> =>
  until('the processes to be gone', () => !all.some(isRunning));
const logFolders = async (name: string): Promise<string[]> =>
  (await readdir(tmpdir())).filter((entry) => entry.startsWith(`cwm-${name}-`));

test.each(['stop', 'kill'] as const)('%s ends the server and its helpers and removes what it left', async (how) => {
  const start = await serverStart();
  const server = await startGuarded(start);
  await writeFile(join(folder, 'not-left'), '');
  const all = await pids();
  expect(server.pid).toBe(all[0]);
  await server[how]();
  await gone(all);
  expect(await readdir(folder)).toEqual(['not-left', 'pids']);
  expect(await logFolders(start.name)).toEqual([]);
  expect(await server.ended).toBe(how === 'kill' ? 'SIGKILL' : 'SIGTERM');
  await server.stop();
});

test('a server that crashes by itself takes its helpers along', async () => {
  const server = await startGuarded(await serverStart());
  const all = await pids();
  process.kill(server.pid, 'SIGKILL');
  expect(await server.ended).toBe('SIGKILL');
  await gone(all);
  expect(existsSync(join(folder, 'left-1'))).toBe(false);
  await server.stop();
});

test('when the owner is killed its server ends and leaves nothing', async () => {
  const start = await serverStart();
  const { signal: _signal, ...sendable } = start;
  const owner = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    `import { startGuarded } from ${JSON.stringify(join(import.meta.dirname, 'guardedServer.ts'))};
     await startGuarded({ ...${JSON.stringify(sendable)}, signal: new AbortController().signal });
     console.log('ready');
     setInterval(() => {}, 1e6);`,
  ]);
  await once(owner.stdout, 'data');
  const all = await pids();
  expect(all.every(isRunning)).toBe(true);
  owner.kill('SIGKILL');
  await gone(all);
  await until('the leftovers to be removed', async () => {
    const left = [
      ...(await readdir(folder)).filter((name) => name.startsWith('left-')),
      ...(await logFolders(start.name)),
    ];
    return left.length === 0 ? true : undefined;
  });
});

test('a server that dies while it starts is reported with the end of its log', async () => {
  const start = await serverStart('console.error("no such flag"); process.exit(3)');
  await expect(startGuarded(start)).rejects.toThrow(/ended with exit code 3[^]*no such flag/);
  for (const name of await logFolders(start.name)) await rm(join(tmpdir(), name), { recursive: true });
});

test('a command that does not exist is reported', async () => {
  const start = { ...(await serverStart()), command: join(folder, 'missing') };
  await expect(startGuarded(start)).rejects.toThrow(/ENOENT/);
  for (const name of await logFolders(start.name)) await rm(join(tmpdir(), name), { recursive: true });
});

test('a server that never answers is ended when its time is over', async () => {
  const code = `require('node:fs').writeFileSync('pids', String(process.pid)); setInterval(() => {}, 1e6)`;
  const starting = startGuarded({ ...(await serverStart(code)), readyWithinMs: 1_500 });
  await expect(starting).rejects.toThrow(/did not answer 200 within 1.5 s/);
  await gone(await pids());
});

test('an abort while it starts ends it', async () => {
  const code = `require('node:fs').writeFileSync('pids', String(process.pid)); setInterval(() => {}, 1e6)`;
  const abort = new AbortController();
  const starting = startGuarded({ ...(await serverStart(code)), signal: abort.signal });
  await until('the server to run', () => existsSync(join(folder, 'pids')));
  abort.abort(new Error('enough'));
  await expect(starting).rejects.toThrow('enough');
  await gone(await pids());
});
