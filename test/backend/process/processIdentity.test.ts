import { execFileSync } from 'node:child_process';
import type fs from 'node:fs';
import { hostname } from 'node:os';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { identifyProcess, livenessOf } from '../../../src/backend/process/processIdentity.ts';

/** What `/proc` holds; a file that is not here is missing. */
const { proc } = vi.hoisted(() => ({ proc: new Map<string, string>() }));
vi.mock('node:fs', async (original) => {
  const own = await original<typeof fs>();
  const readFileSync = (path: string): string => {
    const text = proc.get(path);
    if (text === undefined) throw new Error(`ENOENT: ${path}`);
    return text;
  };
  return { ...own, readFileSync };
});
vi.mock('node:child_process', () => ({ execFileSync: vi.fn() }));

const platform = process.platform;
const on = (name: NodeJS.Platform): unknown => Object.defineProperty(process, 'platform', { value: name });
afterEach(() => on(platform));

const { pid } = process;
/** `/proc/<pid>/stat`: state is field 3, the number of threads field 20, the start field 22. */
const stat = (state: string, threads: number, startTicks: number): string =>
  `${pid} (a (b) c) ${[state, ...Array<number>(16).fill(0), threads, 0, startTicks].join(' ')} 0 0\n`;
const bootIdFile = '/proc/sys/kernel/random/boot_id';
const statFile = `/proc/${pid}/stat`;

describe('a process on Linux', () => {
  beforeEach(() => {
    on('linux');
    proc.clear();
    proc.set(bootIdFile, 'boot-1\n').set(statFile, stat('S', 7, 4711));
  });

  it('is known by its start, whatever its name holds, and by the start of the machine', () => {
    expect(identifyProcess(pid)).toEqual({ pid, host: hostname(), startTime: '4711', bootId: 'boot-1' });
  });

  it('is dead when its number belongs to another process now', () => {
    const identity = identifyProcess(pid);
    expect(livenessOf(identity)).toBe('alive');
    proc.set(statFile, stat('S', 7, 4712));
    expect(livenessOf(identity)).toBe('dead');
  });

  it('is dead after a new start of the machine', () => {
    const identity = identifyProcess(pid);
    proc.set(bootIdFile, 'boot-2\n');
    expect(livenessOf(identity)).toBe('dead');
  });

  it('is dead as a zombie, but not while another of its threads still writes', () => {
    const identity = identifyProcess(pid);
    proc.set(statFile, stat('Z', 2, 4711));
    expect(livenessOf(identity)).toBe('alive');
    proc.set(statFile, stat('Z', 1, 4711));
    expect(livenessOf(identity)).toBe('dead');
  });

  it('is taken for alive where /proc tells nothing of it', () => {
    const identity = identifyProcess(pid);
    proc.delete(statFile);
    expect(livenessOf(identity)).toBe('alive');
  });

  it('is dead when no process has its number, and elsewhere when it belongs to another machine', () => {
    const identity = identifyProcess(pid);
    expect(livenessOf({ ...identity, pid: 2 ** 30 })).toBe('dead');
    expect(livenessOf({ ...identity, host: 'another', pid: 2 ** 30 })).toBe('elsewhere');
  });
});

describe('a process on macOS', () => {
  beforeEach(() => on('darwin'));
  const ps = vi.mocked(execFileSync);

  it('is known by the start that ps tells', () => {
    ps.mockReturnValue('Sun Nov 29 09:00:00 2026\n');
    const identity = identifyProcess(pid);
    expect(identity).toEqual({ pid, host: hostname(), startTime: 'Sun Nov 29 09:00:00 2026', bootId: null });
    expect(ps).toHaveBeenLastCalledWith('ps', ['-o', 'lstart=', '-p', String(pid)], expect.anything());
    expect(livenessOf(identity)).toBe('alive');
    ps.mockReturnValue('Sun Nov 29 10:00:00 2026\n');
    expect(livenessOf(identity)).toBe('dead');
  });

  it('is known by its number alone where ps tells nothing', () => {
    ps.mockImplementation(() => {
      throw new Error('ps exits with 1');
    });
    expect(identifyProcess(pid).startTime).toBeNull();
    ps.mockReturnValue('\n');
    const identity = identifyProcess(pid);
    expect(identity.startTime).toBeNull();
    expect(livenessOf(identity)).toBe('alive');
  });
});

it('a process on Windows is known by its number alone', () => {
  on('win32');
  const identity = identifyProcess(pid);
  expect(identity).toEqual({ pid, host: hostname(), startTime: null, bootId: null });
  expect(livenessOf(identity)).toBe('alive');
});
