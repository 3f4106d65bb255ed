import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCommandLine } from '../../src/cli/program.ts';
import { FakeVllm } from '../fakes/fakeVllm.ts';
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

  it('S4-03 a question is answered by its number or with a text, and a plan is accepted', async () => {
    const fake = await FakeVllm.start();
    try {
      const backend = await start({ engine: fake.url });
      await backend.client.call('createSession', { id: 's', tools: { policy: 'manual' } });
      await backend.client.call('updateSession', { session: 's', mode: 'plan' });
      const asks = { name: 'ask_user', arguments: '{"question":"Which colour?","choices":["red","blue"]}' };
      fake.faults.toolCalls = [[asks], [asks], []];
      const sent = await cwm(backend, 'send', 's', 'Plan it.');
      expect(sent.stderr).toContain('"cwm session answer s TEXT" continues the turn');
      expect((await cwm(backend, 'session', 'answer', 's', '--choice', '7')).stderr).toContain('has 2 choices');
      expect((await cwm(backend, 'session', 'answer', 's')).stderr).toContain('There is no answer.');
      expect((await cwm(backend, 'session', 'approve', 's')).stderr).toContain('answered and not approved');
      expect((await cwm(backend, 'session', 'answer', 's', '--choice', '2')).code).toBe(0);
      fake.faults.answer = 'First red, then blue.';
      expect((await cwm(backend, 'session', 'answer', 's', 'Both.')).stdout).toBe('First red, then blue.\n');
      expect((await cwm(backend, 'session', 'answer', 's', 'What?')).stderr).toContain('waits for no decision');
      const shown = await cwm(backend, 'export', 's');
      expect(shown.stdout).toContain('## Model asks you\n\nWhich colour?\n\n1. red\n2. blue');
      expect(shown.stdout).toContain('## Plan\n\nFirst red, then blue.');
      expect((await cwm(backend, 'session', 'accept', 's')).code).toBe(0);
      expect((await backend.client.call('getSession', { session: 's' })).settings?.mode).toBe('act');
    } finally {
      await fake.stop();
    }
  });

  it("let a folder's own MCP servers be started, until that is revoked", async () => {
    const backend = await start();
    const folder = join(backend.storage, 'a project');
    mkdirSync(folder);
    expect((await cwm(backend, 'trust', folder)).stdout).toBe(`Trusted: ${folder}\n`);
    expect((await cwm(backend, 'trust', folder, '--revoke')).stdout).toBe(`Not trusted any more: ${folder}\n`);
  });
});
