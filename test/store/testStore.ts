import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Clock } from '../../src/base/clock.ts';
import type { FileStore } from '../../src/store/fileStore.ts';
import { openStore, type StoreOptions } from '../../src/store/openStore.ts';
import { startTime } from './builders.ts';

/** A clock that a test moves by hand. */
export class FakeClock implements Clock {
  #timeMs = Date.parse(startTime);

  now(): Date {
    return new Date(this.#timeMs);
  }

  elapsedMs(): number {
    return this.#timeMs;
  }

  advance(ms: number): void {
    this.#timeMs += ms;
  }
}

/** A directory that is removed when the test ends. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'cwm-store-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** A store that is closed when the test ends. */
export async function openTestStore(
  directory: string,
  options: Partial<Omit<StoreOptions, 'directory'>> = {},
): Promise<FileStore> {
  const store = await openStore({ directory, clock: new FakeClock(), ...options });
  onTestFinished(() => store.close());
  return store;
}

const never = new AbortController().signal;

export const repair = (store: FileStore): Promise<string[]> => store.check.repair('embedded', never);
