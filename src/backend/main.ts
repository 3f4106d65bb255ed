#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { alreadyRunningExitCode, type TakenOver } from '../protocol/backendRecord.ts';
import { CwmError } from '../protocol/errors.ts';
import { startFailureLine } from '../protocol/startFailure.ts';
import { runSystem } from './process/runSystem.ts';
import { lockHolder } from './process/backendLock.ts';
import { parseBackendArguments, type BackendArguments } from './arguments.ts';
import { runDirectories } from '../base/runDirectory.ts';
import { isAnnounced } from './process/recordFile.ts';
import { takeOverStore } from './process/takeOver.ts';
import { startBackend, type Compose, type RunningBackend } from './runningBackend.ts';

const graceMs = 5000;
const pollMs = 50;
const lockPatienceMs = 20_000;

/** Loads the services only once this process holds the storage directory: of many backends that start at once, only one needs them. */
const composeLate =
  (args: BackendArguments): Compose =>
  async (...parts) => {
    const { composeServices } = await import('./compose.ts');
    return await composeServices(args)(...parts);
  };

/** Where a backend of this storage directory may have written its lock and its record. */
const placesOf = (storage: string): string[] =>
  [storage, ...runDirectories(storage, runSystem())].filter((path) => existsSync(path));

/** @returns null when another backend is there. Waits for one that is just ending or just starting. */
async function startWhenFree(args: BackendArguments): Promise<RunningBackend | null> {
  const deadlineMs = performance.now() + lockPatienceMs;
  for (;;) {
    const backend = await startBackend({ ...args, graceMs }, composeLate(args));
    const isUp = placesOf(args.storage).some((place) => {
      const holder = lockHolder(place);
      return holder !== null && isAnnounced(place, holder.pid);
    });
    if (backend || isUp || performance.now() > deadlineMs) return backend;
    await delay(pollMs);
  }
}

/** A backend that was asked to end holds the lock of its empty store for a moment. */
async function takeOverWhenFree(from: string, to: string): Promise<TakenOver> {
  const deadlineMs = performance.now() + lockPatienceMs;
  while (existsSync(to) && lockHolder(to) !== null && performance.now() < deadlineMs) await delay(pollMs);
  return takeOverStore(from, to);
}

function readArguments(): BackendArguments {
  try {
    return parseBackendArguments(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(2);
  }
}

// Every file is for this user alone, also the files of libraries.
process.umask(0o077);
const args = readArguments();
try {
  if (args.takeOver !== undefined) {
    process.stdout.write(`${await takeOverWhenFree(args.takeOver, args.storage)}\n`);
    process.exit(0);
  }
  const backend = await startWhenFree(args);
  if (!backend) process.exit(alreadyRunningExitCode);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void backend.stop(signal));
  await backend.stopped;
  process.exit(0);
} catch (error) {
  if (error instanceof CwmError) console.error(startFailureLine(process.pid, error));
  else console.error('The backend could not start:', error);
  process.exit(1);
}
