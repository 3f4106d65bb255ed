import { execFile } from 'node:child_process';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { clientModules, type ClientName } from './install.ts';
import { served } from './served.ts';
import { stubServer } from './stubServer.ts';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** A home and a folder of its own for a client, in front of a server that answers at once. */
async function place(client: ClientName) {
  const home = await mkdtemp(path.join(tmpdir(), 'cwm-client-'));
  cleanUps.push(() => rm(home, { recursive: true, force: true }));
  const folder = path.join(home, 'app');
  await mkdir(folder);
  await writeFile(path.join(folder, 'a.txt'), 'Red.\n');
  const stub = await stubServer(cleanUps);
  const gateway = await served(cleanUps, stub.url);
  const bin = path.join(path.dirname(clientModules(client)), 'node_modules', '.bin');
  const run = async (command: string, args: readonly string[], env: Record<string, string> = {}): Promise<string> => {
    const started = promisify(execFile)(path.join(bin, command), args, {
      cwd: folder,
      env: { PATH: process.env['PATH'], HOME: home, ...env },
      timeout: 120_000,
    });
    started.child.stdin?.end();
    return (await started).stdout;
  };
  return { home, folder, stub, gateway, run };
}

describe('programs that nobody here wrote', () => {
  test('Continue: two turns, another process between them, are one session in the project that its prompt names', async () => {
    const { home, folder, gateway, run } = await place('continue');
    const config = path.join(home, 'c.yaml');
    await writeFile(
      config,
      [
        'name: cwm',
        'version: 1.0.0',
        'schema: v1',
        'models:',
        '  - name: m',
        '    provider: openai',
        '    model: stub-model',
        `    apiBase: ${gateway.url}/v1`,
        `    apiKey: ${gateway.token}`,
        '    capabilities: [tool_use]',
        '',
      ].join('\n'),
    );
    const env = { CONTINUE_TELEMETRY_ENABLED: '0', CONTINUE_CLI_ENABLE_TELEMETRY: '0' };
    expect(await run('cn', ['--config', config, '-p', 'Say hi'], env)).toContain('Answer number 1.');
    expect(await run('cn', ['--config', config, '-p', '--resume', 'And again'], env)).toContain('Answer number 2.');
    await expect
      .poll(() => gateway.sessions())
      .toEqual([
        {
          project: `file://${folder}`,
          branches: 1,
          said: ['user: Say hi', 'assistant: Answer number 1.', 'user: And again', 'assistant: Answer number 2.'],
        },
      ]);
  });

  test('Codex, which speaks only Responses: two turns and a tool turn, each a process of its own, are one session in its folder', async () => {
    const { home, folder, gateway, run } = await place('codex');
    const codexHome = path.join(home, '.codex');
    await mkdir(codexHome);
    await writeFile(
      path.join(codexHome, 'config.toml'),
      [
        'model = "stub-model"',
        'model_provider = "cwm"',
        '[model_providers.cwm]',
        'name = "cwm"',
        `base_url = "${gateway.url}/v1"`,
        'env_key = "CWM_TOKEN"',
        'wire_api = "responses"',
        '',
      ].join('\n'),
    );
    const env = { CODEX_HOME: codexHome, CWM_TOKEN: gateway.token };
    const exec = (...args: string[]): Promise<string> => run('codex', ['exec', '--skip-git-repo-check', ...args], env);
    await exec('Say hi');
    await exec('resume', '--last', 'And again');
    await exec('resume', '--last', 'USETOOL please');
    const all = async () =>
      (await gateway.sessions()).map(({ project, said }) => ({
        project,
        users: said.filter((each) => /^user: (Say hi|And again|USETOOL)/.test(each)).length,
        last: said.at(-1),
      }));
    await expect.poll(all).toEqual([{ project: `file://${folder}`, users: 3, last: 'assistant: Answer number 4.' }]);
  });
});
