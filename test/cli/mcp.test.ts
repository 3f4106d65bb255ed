import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { eras, McpClient, type ClientOptions } from '../mcp/support/mcpClient.ts';
import { wholeBackends } from '../security/support/wholeBackend.ts';
import { startCli, type CliProcess } from './support/cliProcess.ts';

const start = wholeBackends();

async function mcp(storage: string, options: ClientOptions): Promise<CliProcess & { readonly client: McpClient }> {
  const cli = startCli(['mcp', '--storage', storage], undefined, 'open');
  const { stdin, stdout } = cli.child;
  if (!stdin || !stdout) throw new Error('The process has no pipes.');
  return { ...cli, client: await McpClient.open(options, stdin, stdout) };
}

describe('cwm mcp', () => {
  it('V8 S0-01 freezes, lists, thaws and clones on a real backend, and ends when its client does', async () => {
    const backend = await start();
    await backend.client.call('createSession', { id: 's' });
    await backend.client.call('send', { session: 's', text: 'What is a prefix cache good for?', maxTokens: 4 });
    const { client, outcome } = await mcp(backend.storage, { era: 'modern' });
    const frozen = await client.call('window_freeze', { session_id: 's', window_name: 'w', tags: ['a'] });
    expect(frozen.structuredContent).toMatchObject({
      success: true,
      window_name: 'w',
      token_count: expect.any(Number),
    });
    const thawed = await client.call('window_thaw', { window_name: 'w', new_session_id: 't' });
    expect(thawed.structuredContent).toMatchObject({ success: true, session_id: 't', verdict: expect.any(String) });
    await client.call('window_clone', { source_window: 'w', target_window: 'w2' });
    const { structuredContent } = await client.call('window_list', { sort_by: 'name', sort_order: 'asc' });
    expect(structuredContent).toMatchObject({
      windows: [
        { name: 'w', tags: ['a'] },
        { name: 'w2', parent_window: 'w' },
      ],
    });
    const { structuredContent: health } = await client.call('health_check');
    expect(health).toMatchObject({ status: 'healthy', components: [{ name: 'store' }, { status: 'healthy' }] });
    client.end();
    expect(await outcome).toMatchObject({ code: 0, stderr: '' });
  });

  it.each(eras)('a client that only lists what there is starts no backend; its first call does (%s)', async (era) => {
    const storage = mkdtempSync(join(tmpdir(), 'cwm-lists-'));
    onTestFinished(async () => void (await startCli(['stop', '--storage', storage]).outcome));
    const { client, outcome } = await mcp(storage, { era });
    const { result } = await client.request('tools/list');
    expect(result).toMatchObject({ tools: expect.arrayContaining([expect.objectContaining({ name: 'window_list' })]) });
    await client.request('prompts/list');
    expect(readdirSync(storage)).toEqual([]);
    expect((await client.call('window_list')).structuredContent).toMatchObject({ total: 0 });
    expect(readdirSync(storage)).toContain('backend.json');
    client.end();
    expect(await outcome).toMatchObject({ code: 0, stderr: '' });
  });

  it('serves several clients at once, in either form; when one leaves, the others stay', async () => {
    const { storage, client: person } = await start();
    const [one, two] = await Promise.all([mcp(storage, { era: 'legacy' }), mcp(storage, { era: 'modern' })]);
    await person.call('createSession', { id: 's' });
    const listed = await Promise.all([one, two].map(({ client }) => client.call('session_list')));
    for (const { structuredContent } of listed)
      expect(structuredContent).toMatchObject({ sessions: [{ session_id: 's' }] });
    one.client.end();
    expect((await one.outcome).code).toBe(0);
    expect((await two.client.call('session_list')).structuredContent).toMatchObject({ total: 1 });
    two.child.kill('SIGTERM');
    expect((await two.outcome).code).toBe(0);
  });

  it('S2-07 each client works in a folder of its own, and a folder that is not there is refused', async () => {
    const { storage } = await start();
    const [one, two] = await Promise.all([mcp(storage, { era: 'legacy' }), mcp(storage, { era: 'modern' })]);
    const places = await Promise.all(
      [one, two].map(async ({ client }, index) => {
        const directory = mkdtempSync(join(tmpdir(), `cwm-place-${index}-`));
        const { structuredContent } = await client.call('set_working_directory', { directory });
        expect(structuredContent).toMatchObject({
          working_directory: directory,
          config_found: false,
          config_path: null,
        });
        return structuredContent?.['session_id'];
      }),
    );
    expect(new Set(places).size).toBe(2);
    for (const directory of ['relative', '/no/such/folder', import.meta.filename]) {
      expect(await one.client.call('set_working_directory', { directory })).toMatchObject({ isError: true });
    }
    for (const { client, outcome } of [one, two]) {
      client.end();
      await outcome;
    }
  });

  it('S0-62 an agent that runs away is slowed down, with when to try again', async () => {
    const { storage } = await start();
    const { client, child, outcome } = await mcp(storage, { era: 'legacy' });
    const calls = Array.from({ length: 12 }, () => client.call('auto_freeze_config', { enabled: true }));
    const refused = (await Promise.all(calls)).filter(({ isError }) => isError);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]?.content[0]?.text).toMatch(/\(CWM-7002\) Wait \d+ s/);
    child.stdin?.end();
    await outcome;
  });
});
