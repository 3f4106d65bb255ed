import { afterEach, describe, expect, it } from 'vitest';
import { isRunning } from '../../src/base/isRunning.ts';

/** What `/proc` holds; a file that is not here is missing. */
const proc = new Map<string, string>();
const read = (path: string): string => {
  const text = proc.get(path);
  if (text === undefined) throw new Error(`ENOENT: ${path}`);
  return text;
};

const platform = process.platform;
const on = (name: NodeJS.Platform): unknown => Object.defineProperty(process, 'platform', { value: name });
const { pid } = process;
const stat = (state: string, threads: number): string =>
  `${pid} (a (b) Z) ${[state, ...Array<number>(16).fill(0), threads, 0, 4711].join(' ')} 0 0\n`;

afterEach(() => {
  on(platform);
  proc.clear();
});

describe('isRunning', () => {
  it.each(['linux', 'darwin', 'win32'] as const)(
    'knows a process that runs from a number that none can have, on %s',
    (name) => {
      on(name);
      expect(isRunning(pid, read)).toBe(true);
      expect(isRunning(2 ** 31 - 1, read)).toBe(false);
    },
  );

  it('does not wait for a process that ended and whose status nobody collects', () => {
    on('linux');
    proc.set(`/proc/${pid}/stat`, stat('Z', 1));
    expect(isRunning(pid, read)).toBe(false);
  });

  it('waits while another thread of it is inside a system call', () => {
    on('linux');
    proc.set(`/proc/${pid}/stat`, stat('Z', 2));
    expect(isRunning(pid, read)).toBe(true);
  });
});
