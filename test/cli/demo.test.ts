import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCommandLine } from '../../src/cli/program.ts';
import { realBackends } from '../client/support/realBackends.ts';
import { FakeTerminal } from './support/fakeTerminal.ts';

const { makeStorage } = realBackends();

function makeProject(): string {
  const folder = makeStorage();
  mkdirSync(join(folder, 'src'));
  const lines = Array.from({ length: 60 }, (_, line) => `export const value${line} = ${line};`);
  writeFileSync(join(folder, 'src', 'values.ts'), lines.join('\n'));
  return folder;
}

describe('cwm demo', () => {
  it("N17 shows the promise on the user's own files: backend and engine killed, every token reused, none under another salt", async () => {
    const terminal = new FakeTerminal({ cwd: makeProject() });
    const storage = makeStorage();
    expect(
      await runCommandLine(
        ['demo', 'src', '--tokens', '256', '--question', 'Why?', '--chat-template', 'chatml', '--storage', storage],
        terminal,
      ),
    ).toBe(0);
    expect(terminal.stdout).toMatch(/then +backend and model server killed with SIGKILL, then restarted\n/);
    expect(terminal.stdout).toMatch(/next tokens +(\d+) of \1 match an uninterrupted run\n/);
    expect(terminal.stdout).toMatch(/control: another salt +0 tokens reused\n/);
    expect(terminal.stdout).toMatch(/verdict +proven, from disk\n/);
    expect(terminal.stderr).toContain('Killing backend and model server, and restarting them …\n');
  });

  it('asks for more files where these are too few, and in a directory of its own where none is named', async () => {
    const terminal = new FakeTerminal({ cwd: makeProject() });
    expect(await runCommandLine(['demo', 'src', '--json'], terminal)).toBe(1);
    expect(JSON.parse(terminal.stderr.split('\n').findLast((line) => line.startsWith('{')) ?? '')).toMatchObject({
      code: 'CWM-1003',
      message: expect.stringContaining('8192 are needed'),
    });
  });

  it('never kills a server of the user', async () => {
    const terminal = new FakeTerminal({ cwd: makeProject() });
    const args = ['demo', 'src', '--engine', 'http://127.0.0.1:9', '--storage', makeStorage()];
    expect(await runCommandLine(args, terminal)).toBe(1);
    expect(terminal.stderr).toContain('it runs only on the embedded one');
  });
});
