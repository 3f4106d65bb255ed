/**
 * Runs a model server for another process and ends it with that process.
 *
 * A server is a tree of processes that outlives a crashed or killed parent, with gigabytes of memory. So its parent is not the
 * test but this guard, in a process group that no Ctrl-C of the terminal reaches: when the owner goes, in whatever way, the
 * channel to it closes, and the guard ends the server's whole process group and removes what it would leave behind.
 *
 * Started with `fork`; the first message is a {@link GuardedCommand}, later ones are {@link GuardOrder}s.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { openSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { logName, type GuardedCommand, type GuardOrder, type GuardReport } from './guardProtocol.ts';
import { crashGroup, endGroup } from './processGroup.ts';

const stopGraceMs = 15_000;
const helpersGraceMs = 3_000;
const windows = process.platform === 'win32';

let server: ChildProcess | undefined;
let isStopping = false;

function report(message: GuardReport): Promise<void> {
  return new Promise((resolve) => {
    // The owner may be gone; then there is nobody to tell.
    if (!process.connected || !process.send) resolve();
    else process.send(message, () => resolve());
  });
}

function start(guarded: GuardedCommand): void {
  const log = openSync(join(guarded.logFolder, logName), 'a', 0o600);
  const child = spawn(guarded.command, guarded.args, {
    cwd: guarded.cwd,
    env: guarded.env,
    stdio: ['ignore', log, log],
    // Its own process group, so that its helpers can be found and ended with it.
    detached: !windows,
    windowsHide: true,
  });
  server = child;
  child.once('spawn', () => void report({ kind: 'started', pid: child.pid as number }));
  child.once('error', (error) => void fail(error.message));
  child.once('exit', (code, signal) => void finish(guarded, signal ?? `exit code ${code}`));
}

async function fail(why: string): Promise<void> {
  await report({ kind: 'failed', why });
  process.exit(1);
}

/** The server has ended: so do its helpers, then what it left is removed, and only then is it called ended. */
async function finish({ leftovers, logFolder }: GuardedCommand, how: string): Promise<void> {
  // Asked to stop, a server may end before its helpers have cleaned up; after a crash nobody tells them to.
  if (!isStopping) crash();
  if (server?.pid !== undefined) await endGroup(server.pid, helpersGraceMs);
  for (const leftover of leftovers) await removeMatching(leftover);
  if (!process.connected) await rm(logFolder, { recursive: true, force: true });
  await report({ kind: 'ended', how });
  process.exit(0);
}

async function removeMatching(path: string): Promise<void> {
  const folder = dirname(path);
  const wanted = basename(path);
  const names = await readdir(folder).catch(() => []);
  const isWanted = (name: string): boolean =>
    wanted.endsWith('*') ? name.startsWith(wanted.slice(0, -1)) : name === wanted;
  for (const name of names.filter(isWanted)) await rm(join(folder, name), { recursive: true, force: true });
}

function obey(order: GuardOrder): void {
  if (order === 'kill' || windows) {
    crash();
    return;
  }
  isStopping = true;
  // The server alone: it ends its helpers in an order of its own.
  server?.kill('SIGTERM');
  setTimeout(crash, stopGraceMs).unref();
}

function crash(): void {
  if (server?.pid !== undefined) crashGroup(server.pid);
}

function abandon(): void {
  if (server) crash();
  else process.exit(0);
}

process.on('message', (message: GuardedCommand | GuardOrder) => {
  if (typeof message === 'string') obey(message);
  else start(message);
});
process.on('disconnect', abandon);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, abandon);
