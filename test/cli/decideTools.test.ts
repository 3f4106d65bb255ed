import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { runCommandLine } from '../../src/cli/program.ts';
import { wholeBackends, type WholeBackend } from '../security/support/wholeBackend.ts';
import { FakeTerminal, type Outcome } from './support/fakeTerminal.ts';

const start = wholeBackends();

async function cwm({ storage }: WholeBackend, ...args: string[]): Promise<Outcome> {
  const terminal = new FakeTerminal();
  const code = await runCommandLine([...args, '--storage', storage], terminal);
  return { code, stdout: terminal.stdout, stderr: terminal.stderr };
}

describe('decisions about tools at the command line', () => {
  it('on a session in which no call waits say so, and change nothing', async () => {
    const backend = await start();
    await backend.client.call('createSession', { id: 's' });
    for (const decision of [
      ['approve', 's'],
      ['approve', 's', 'call-1', '--for-session'],
      ['deny', 's', '--reason', 'No.'],
    ]) {
      const { code, stdout, stderr } = await cwm(backend, 'session', ...decision);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/CWM-\d{4}/);
    }
    expect((await cwm(backend, 'session', 'cancel', 's')).stdout).toBe('Session s is at rest.\n');
    expect((await backend.client.call('listMessages', { session: 's' })).total).toBe(0);
  });

  it("let a folder's own MCP servers be started, until that is revoked", async () => {
    const backend = await start();
    const folder = join(backend.storage, 'a project');
    mkdirSync(folder);
    const uri = pathToFileURL(folder).href;
    expect((await cwm(backend, 'trust', folder)).stdout).toBe(`Trusted: ${uri}\n`);
    expect((await cwm(backend, 'trust', folder, '--revoke')).stdout).toBe(`Not trusted any more: ${uri}\n`);
  });
});
