import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { processPrompter, type Prompter } from '../../src/cli/terminal/prompter.ts';

describe('lines that are typed', () => {
  let stdin: PassThrough;
  let interrupted: AbortController;
  let prompter: Prompter;
  beforeEach(() => {
    stdin = new PassThrough();
    vi.spyOn(process, 'stdin', 'get').mockReturnValue(stdin as unknown as typeof process.stdin);
    vi.spyOn(process, 'stderr', 'get').mockReturnValue(new PassThrough() as unknown as typeof process.stderr);
    interrupted = new AbortController();
    prompter = processPrompter(interrupted.signal);
  });
  afterEach(() => {
    prompter.dispose();
    vi.restoreAllMocks();
  });

  it('are given one by one, also those that came before anybody asked, and then none', async () => {
    stdin.write('one\ntwo\n');
    expect(await prompter.ask('> ')).toBe('one');
    expect(await prompter.ask('> ')).toBe('two');
    const next = prompter.ask('> ');
    stdin.end('three\n');
    expect(await next).toBe('three');
    expect(await prompter.ask('> ')).toBeNull();
    expect(await prompter.ask('> ')).toBeNull();
  });

  it('end when the process is interrupted, and so does the work', async () => {
    const waiting = prompter.ask('> ');
    interrupted.abort();
    expect(await waiting).toBeNull();
    expect(await prompter.interruptible(async (signal) => signal.aborted)).toBe(true);
  });

  it('are no interruption of the work that they start', async () => {
    expect(await prompter.interruptible(async (signal) => signal.aborted)).toBe(false);
    await expect(prompter.interruptible(() => Promise.reject(new Error('it failed')))).rejects.toThrow('it failed');
  });
});
