import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { realBackends } from '../client/support/realBackends.ts';
import { startCli } from './support/cliProcess.ts';

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
});
