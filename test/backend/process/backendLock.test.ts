import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { lockHolder, takeBackendLock, type LockResult } from '../../../src/backend/process/backendLock.ts';
import { identifyProcess, isOfThisBoot } from '../../../src/backend/process/processIdentity.ts';
import type * as processIdentity from '../../../src/backend/process/processIdentity.ts';
import { SeenLocks } from '../../../src/backend/process/seenLocks.ts';
import { temporaryDirectories } from '../support/temporaryDirectory.ts';
import { until } from '../../support/until.ts';
import { testProgram } from '../../support/testProgram.ts';

vi.mock('../../../src/backend/process/processIdentity.ts', async (original) => {
  const own = await original<typeof processIdentity>();
  return { ...own, isOfThisBoot: vi.fn(own.isOfThisBoot) };
});

const makeDirectory = temporaryDirectories();
const holders: ChildProcess[] = [];

afterEach(async () => {
  await Promise.all(holders.splice(0).map(kill));
});

interface Holder {
  readonly process: ChildProcess;
  readonly answer: string;
}

async function startHolder(directory: string): Promise<Holder> {
  const script = testProgram('lockHolder');
  const child = spawn(process.execPath, [script, directory], { stdio: ['pipe', 'pipe', 'inherit'] });
  holders.push(child);
  const [data] = (await once(child.stdout, 'data')) as [Buffer];
  return { process: child, answer: data.toString().trim() };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

const noLoss = (): void => expect.unreachable('the lock was lost');

/** As {@link takeBackendLock}, by a machine that remembers in `ours` what it saw. @param nowMs by its own clock. */
const lookAt = (nowMs: number, directory: string, ours: string): LockResult =>
  takeBackendLock(
    directory,
    noLoss,
    new SeenLocks(
      () => ours,
      () => nowMs,
    ),
  );

/** Takes the lock until the test is over: its timer would find the directory gone. */
function take(directory: string): LockResult {
  const taken = takeBackendLock(directory, noLoss);
  if (taken.held) onTestFinished(() => taken.lock.dispose());
  return taken;
}

const lockFiles = (directory: string): string[] =>
  readdirSync(directory).filter((name) => name.startsWith('backend.lock'));

describe('backend lock', () => {
  it('lets exactly one of 20 processes that start at once have the directory', async () => {
    const directory = makeDirectory();
    const started = await Promise.all(Array.from({ length: 20 }, () => startHolder(directory)));
    expect(started.filter((holder) => holder.answer === 'held')).toHaveLength(1);
  });

  it('lets exactly one of 20 processes take over from a killed holder', async () => {
    const directory = makeDirectory();
    const first = await startHolder(directory);
    expect(first.answer).toBe('held');
    await kill(first.process);
    const next = await Promise.all(Array.from({ length: 20 }, () => startHolder(directory)));
    expect(next.filter((holder) => holder.answer === 'held')).toHaveLength(1);
  });

  it('is never held by two of six processes that take and release it all the time', async () => {
    const directory = makeDirectory();
    const script = testProgram('lockStress');
    const exits = Array.from({ length: 6 }, async () => {
      const child = spawn(process.execPath, [script, directory], { stdio: 'inherit' });
      holders.push(child);
      const [code] = (await once(child, 'exit')) as [number | null];
      return code;
    });
    expect(await Promise.all(exits)).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it('names the process that holds it', async () => {
    const directory = makeDirectory();
    const holder = await startHolder(directory);
    expect(take(directory)).toMatchObject({ held: false, by: { pid: holder.process.pid } });
  });

  it('is free at once after it was released', async () => {
    const directory = makeDirectory();
    const holder = await startHolder(directory);
    const exited = once(holder.process, 'exit');
    holder.process.stdin?.end();
    await exited;
    const taken = take(directory);
    expect(taken.held).toBe(true);
    if (taken.held) taken.lock.dispose();
  });

  it('does not take another process with the same number for its holder', () => {
    const directory = makeDirectory();
    const impostor = { ...identifyProcess(process.pid), startTime: 'another time' };
    writeFileSync(join(directory, 'backend.lock.1'), JSON.stringify(impostor));
    expect(take(directory).held).toBe(true);
  });

  it('does not take a process from before the last start of the machine for its holder', () => {
    const directory = makeDirectory();
    const old = { ...identifyProcess(process.pid), bootId: 'another boot' };
    writeFileSync(join(directory, 'backend.lock.1'), JSON.stringify(old));
    expect(take(directory).held).toBe(true);
  });

  it.skipIf(process.platform !== 'linux')(
    'does not take a process that has ended for its holder, though nobody has asked how it ended',
    async () => {
      const directory = makeDirectory();
      // The shell starts a process, becomes one that never asks for its children, and the child ends.
      const parent = spawn('sh', ['-c', 'sleep 0.01 & echo $!; exec sleep 600'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      holders.push(parent);
      const [data] = (await once(parent.stdout, 'data')) as [Buffer];
      const pid = Number(data.toString());
      const holder = { ...identifyProcess(pid), startTime: null };
      const stat = (): string => readFileSync(`/proc/${pid}/stat`, 'utf8');
      await until('it is a zombie', () => stat().includes(') Z '));
      writeFileSync(join(directory, 'backend.lock.1'), JSON.stringify(holder));
      expect(take(directory).held).toBe(true);
    },
  );

  it('respects a holder in another container until its file has not been touched for a minute', () => {
    const directory = makeDirectory();
    const path = join(directory, 'backend.lock.7');
    vi.mocked(isOfThisBoot).mockReturnValue(true);
    onTestFinished(() => void vi.mocked(isOfThisBoot).mockReset());
    writeFileSync(path, JSON.stringify({ ...identifyProcess(process.pid), host: 'elsewhere' }));
    expect(take(directory)).toMatchObject({ held: false, by: { host: 'elsewhere' } });
    const aMinuteAgo = new Date(Date.now() - 61_000);
    utimesSync(path, aMinuteAgo, aMinuteAgo);
    expect(take(directory).held).toBe(true);
  });

  it.each([0, -26, 26])(
    'respects a holder on another machine whose clock is %i hours away as long as it beats, and takes over when it is silent',
    (hours) => {
      const [directory, ours] = [makeDirectory(), makeDirectory()];
      let nowMs = 5_000_000;
      const look = () => lookAt(nowMs, directory, ours);
      const path = join(directory, 'backend.lock.7');
      const identity = { ...identifyProcess(process.pid), host: 'laptop', bootId: 'of the laptop' };
      const beat = (beats: number): void => {
        writeFileSync(path, JSON.stringify({ ...identity, beats: String(beats).padStart(12, '0') }));
        const at = new Date(Date.now() + hours * 3_600_000);
        utimesSync(path, at, at);
      };
      for (let beats = 0; beats < 10; beats++) {
        beat(beats);
        expect(look()).toMatchObject({ held: false, by: { host: 'laptop' } });
        // A program that synchronises folders is late.
        nowMs += 90_000;
        expect(look()).toMatchObject({ held: false, by: { host: 'laptop' } });
        nowMs += 25_000;
      }
      nowMs += 119_000;
      const taken = look();
      if (taken.held) onTestFinished(() => taken.lock.dispose());
      expect(taken.held).toBe(true);
      expect(lockFiles(directory)).toEqual(['backend.lock.7', 'backend.lock.8']);
    },
  );

  it('does not take what was seen before this machine started again for silence, nor a lock that only one look saw', () => {
    const [directory, ours] = [makeDirectory(), makeDirectory()];
    const look = (nowMs: number) => lookAt(nowMs, directory, ours);
    const identity = { ...identifyProcess(process.pid), host: 'laptop', bootId: 'of the laptop' };
    writeFileSync(join(directory, 'backend.lock.7'), JSON.stringify(identity));
    expect(look(900_000).held).toBe(false);
    expect(look(10_000).held).toBe(false);
    expect(look(129_999).held).toBe(false);
    // A damaged note begins again.
    writeFileSync(join(ours, 'other-machine.json'), '{"lock":');
    expect(look(130_000).held).toBe(false);
    expect(takeBackendLock(directory, noLoss, new SeenLocks(() => null)).held).toBe(false);
    expect(takeBackendLock(directory, noLoss).held).toBe(false);
    const taken = look(250_000);
    if (taken.held) onTestFinished(() => taken.lock.dispose());
    expect(taken.held).toBe(true);
  });

  it('counts its beats in the file, and stops writing where another machine is named there', () => {
    vi.useFakeTimers();
    try {
      const directory = makeDirectory();
      const onLost = vi.fn<() => void>();
      const taken = takeBackendLock(directory, onLost);
      const path = join(directory, 'backend.lock.1');
      const beats = (): unknown => (JSON.parse(readFileSync(path, 'utf8')) as { beats: unknown }).beats;
      const length = statSync(path).size;
      expect(beats()).toBe('000000000000');
      vi.advanceTimersByTime(45_000);
      expect(beats()).toBe('000000000003');
      expect(statSync(path).size).toBe(length);
      const theirs = JSON.stringify({ ...identifyProcess(process.pid), host: 'laptop', beats: '000000000009' });
      writeFileSync(path, theirs);
      vi.advanceTimersByTime(15_000);
      expect(onLost).toHaveBeenCalledOnce();
      expect(readFileSync(path, 'utf8')).toBe(theirs);
      if (taken.held) taken.lock.dispose();
    } finally {
      vi.useRealTimers();
    }
  });

  it('takes over a lock that is no lock, and one whose maker died before it wrote its name', () => {
    const directory = makeDirectory();
    const path = join(directory, 'backend.lock.3');
    writeFileSync(path, '');
    expect(take(directory)).toEqual({ held: false, by: null });
    const past = new Date(Date.now() - 6000);
    utimesSync(path, past, past);
    const taken = take(directory);
    expect(taken.held).toBe(true);
    if (taken.held) taken.lock.dispose();
    writeFileSync(join(directory, 'backend.lock.9'), '{"pid":');
    expect(take(directory).held).toBe(true);
  });

  it('does not wait for a name that a clock which was set back since says is still being written', () => {
    const directory = makeDirectory();
    const path = join(directory, 'backend.lock.3');
    writeFileSync(path, '');
    const tomorrow = new Date(Date.now() + 24 * 60 * 60 * 1000);
    utimesSync(path, tomorrow, tomorrow);
    expect(take(directory).held).toBe(true);
  });

  it('says who holds it, without taking it', async () => {
    const directory = makeDirectory();
    expect(lockHolder(directory)).toBeNull();
    const holder = await startHolder(directory);
    expect(lockHolder(directory)).toMatchObject({ pid: holder.process.pid });
    await kill(holder.process);
    expect(lockHolder(directory)).toBeNull();
  });

  it('notices when another process took it nevertheless, and renews its time until then', () => {
    vi.useFakeTimers();
    try {
      const directory = makeDirectory();
      const onLost = vi.fn<() => void>();
      takeBackendLock(directory, onLost);
      const path = join(directory, 'backend.lock.1');
      const past = new Date(Date.now() - 60_000);
      utimesSync(path, past, past);
      vi.advanceTimersByTime(15_000);
      expect(statSync(path).mtimeMs).toBeGreaterThan(past.getTime() + 50_000);
      expect(onLost).not.toHaveBeenCalled();
      writeFileSync(join(directory, 'backend.lock.2'), '{}');
      vi.advanceTimersByTime(15_000);
      expect(onLost).toHaveBeenCalledOnce();
    } finally {
      vi.useRealTimers();
    }
  });

  it('notices that the storage directory is gone', () => {
    vi.useFakeTimers();
    try {
      const directory = makeDirectory();
      const onLost = vi.fn<() => void>();
      const taken = takeBackendLock(directory, onLost);
      rmSync(directory, { recursive: true });
      vi.advanceTimersByTime(15_000);
      expect(onLost).toHaveBeenCalledOnce();
      if (taken.held) taken.lock.dispose();
    } finally {
      vi.useRealTimers();
    }
  });

  it('leaves no more than two files behind, however often it was taken', () => {
    const directory = makeDirectory();
    for (let round = 0; round < 5; round++) {
      const taken = take(directory);
      if (taken.held) taken.lock.dispose();
    }
    expect(lockFiles(directory)).toEqual(['backend.lock.4', 'backend.lock.5']);
    expect(readFileSync(join(directory, 'backend.lock.5'), 'utf8')).toBe('released\n');
  });
});
