import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { realBackends } from '../client/support/realBackends.ts';
import { cliEntry, startCli } from './support/cliProcess.ts';

const { makeStorage } = realBackends();

describe('cwm and what it is connected to', () => {
  it('has the same exit code when nobody reads its stderr', async () => {
    const { child } = startCli(['no-such-command']);
    child.stderr?.destroy();
    expect(await once(child, 'close')).toEqual([2, null]);
  });

  it('ends without failure when nobody reads the answer to the end', async () => {
    const { child, outcome } = startCli(['list', '--storage', makeStorage()]);
    child.stdout?.destroy();
    expect(await outcome).toMatchObject({ code: 0, stderr: '' });
  });

  it('is ended by one Ctrl-C while it waits for a message on stdin', async () => {
    const { child, outcome } = startCli(['send', 's', '-', '--json', '--storage', makeStorage()], undefined, 'open');
    // It reads stdin: what is written to it is taken.
    await new Promise((resolve) => child.stdin?.write('x'.repeat(1_000_000), resolve));
    child.kill('SIGINT');
    const { code, stderr } = await outcome;
    expect(code).toBe(130);
    expect(JSON.parse(stderr)).toMatchObject({ code: 'CWM-6003' });
  });

  it.runIf(process.platform === 'linux')('fails where its output cannot be written', async () => {
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, [cliEntry, '--help'], { stdio: ['ignore', full, 'pipe'] });
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    expect(await once(child, 'close')).toEqual([1, null]);
    closeSync(full);
    expect(stderr).toMatch(/^cwm: The output cannot be written \(ENOSPC.*\)\.\n$/);
  });

  it('refuses a message on stdin that is no text', async () => {
    const { child, outcome } = startCli(['send', 's', '-', '--json', '--storage', makeStorage()], undefined, 'open');
    child.stdin?.end(Buffer.from([0xff, 0xfe, 0xfd]));
    const { code, stderr } = await outcome;
    expect(code).toBe(1);
    expect(JSON.parse(stderr)).toMatchObject({ code: 'CWM-1003', hint: expect.stringContaining('UTF-8') });
  });
});
