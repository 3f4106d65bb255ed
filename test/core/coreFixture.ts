import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import type { Clock } from '../../src/base/clock.ts';
import { Emitter } from '../../src/base/emitter.ts';
import { makeCore, type CoreParts } from '../../src/core/core.ts';
import type { ReadFiles } from '../../src/core/ports/contextFiles.ts';
import type { SpaceLimits } from '../../src/core/space/limits.ts';
import type { Change } from '../../src/protocol/signals.ts';
import { CwmError } from '../../src/protocol/errors.ts';
import { openStore } from '../../src/store/openStore.ts';
import { diskFiles, type Files } from '../../src/store/disk/files.ts';
import { FaultyFiles } from '../store/faultyFiles.ts';
import { FakeTools } from './fakeTools.ts';
import { FakeEngine } from './fakeEngine.ts';

export type CoreFixture = Awaited<ReturnType<typeof coreFixture>>;

/**
 * The core over the real store in a fresh directory, with a fake engine and a clock that only moves when it is read.
 *
 * @param change gives other parts in place of the fixture's own.
 */
export async function coreFixture(
  limits: Partial<SpaceLimits> = {},
  inner: Files = diskFiles,
  change: (own: CoreParts) => CoreParts = (own) => own,
) {
  const directory = mkdtempSync(path.join(tmpdir(), 'cwm-core-'));
  const clock = new SteppingClock();
  const disk = { freeBytes: null as number | null };
  const files: Files = { ...new FaultyFiles(inner).files, freeBytes: async () => disk.freeBytes };
  const store = await openStore({ directory, clock, files });
  const engine = new FakeEngine();
  engine.now = () => clock.peek();
  const changes = new Emitter<Change>();
  const heard: Change[] = [];
  changes.subscribe((change) => heard.push(change));
  const context: ReadFiles = { files: [{ path: 'a.ts', text: 'export const a = 1;\n' }], skipped: [] };
  const fixture = { files: context };
  const failures: unknown[] = [];
  const tools = new FakeTools();
  const parts: CoreParts = {
    store,
    clock,
    sleep: async (_, signal) => signal.throwIfAborted(),
    changes,
    engines: {
      defaultSpec: engine.spec,
      get: (spec) => {
        if (spec === engine.spec) return engine;
        throw new CwmError('InvalidParameter', `"${spec}" is no engine.`);
      },
      status: () => Promise.reject(new Error('not needed by the core')),
    },
    files: { read: () => Promise.resolve(fixture.files) },
    blocks: engine.blockCache(),
    limits,
    tools,
    checkpoints: { enabled: false },
    onBackgroundFailure: (error) => failures.push(error),
  };
  const cwm = makeCore(change(parts));
  onTestFinished(async () => {
    await cwm.close();
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return { cwm, store, engine, engines: parts.engines, tools, clock, disk, heard, failures, directory, fixture };
}

/** Every reading is a second after the one before. */
class SteppingClock implements Clock {
  #ms = Date.UTC(2026, 0, 1);
  #setBackMs = 0;

  now(): Date {
    return new Date((this.#ms += 1000) - this.#setBackMs);
  }

  elapsedMs(): number {
    return (this.#ms += 1);
  }

  /** The time without moving it. */
  peek(): number {
    return this.#ms;
  }

  advance(ms: number): void {
    this.#ms += ms;
  }

  /** The wall clock alone. */
  setBack(ms: number): void {
    this.#setBackMs += ms;
  }
}

/** A session `s` with one turn behind it. */
export async function talkedSession({ cwm }: CoreFixture, id = 's'): Promise<void> {
  await cwm.createSession({ id });
  await cwm.send({ session: id, text: 'Please explain what a prefix cache is good for.' }, never());
}

/** A window `w` of a session `s` that goes on. */
export async function savedWindow(fixture: CoreFixture): Promise<void> {
  await talkedSession(fixture);
  await fixture.cwm.freeze({ session: 's', window: 'w', checkpoint: true }, never());
}

export const never = (): AbortSignal => new AbortController().signal;

export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'no error';
  } catch (error) {
    return error instanceof CwmError ? error.code : String(error);
  }
}
