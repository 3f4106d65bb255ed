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

describe('a person at a terminal', () => {
  // Node.js reads keys of a terminal itself; what it makes of them is written to the output.
  const terminal = (): PassThrough => Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => undefined });
  const ctrlC = '\u0003';
  let stdin: PassThrough;
  let stderr: PassThrough;
  let prompter: Prompter;
  beforeEach(() => {
    // Node.js edits no line in a terminal that it takes for one without a cursor.
    vi.stubEnv('TERM', 'xterm');
    stdin = terminal();
    stderr = terminal();
    vi.spyOn(process, 'stdin', 'get').mockReturnValue(stdin as unknown as typeof process.stdin);
    vi.spyOn(process, 'stderr', 'get').mockReturnValue(stderr as unknown as typeof process.stderr);
    prompter = processPrompter(new AbortController().signal);
  });
  afterEach(() => {
    prompter.dispose();
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
  });

  it('sees the prompt, empties a line with Ctrl-C, and leaves with Ctrl-C on an empty one', async () => {
    const line = prompter.ask('you> ');
    stdin.write(`not this${ctrlC}`);
    stdin.write('but this\r');
    expect(await line).toBe('but this');
    expect(String(stderr.read())).toContain('you> ');
    const next = prompter.ask('you> ');
    stdin.write(ctrlC);
    expect(await next).toBeNull();
  });

  it('stops the work with Ctrl-C, and stays', async () => {
    const stopped = await prompter.interruptible(
      (signal) =>
        new Promise<boolean>((resolve) => {
          signal.addEventListener('abort', () => resolve(true));
          stdin.write(ctrlC);
        }),
    );
    expect(stopped).toBe(true);
    const line = prompter.ask('you> ');
    stdin.write('still here\r');
    expect(await line).toBe('still here');
  });
});
