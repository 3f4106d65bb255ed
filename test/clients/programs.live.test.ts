import { execFile } from 'node:child_process';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { clientConfigs, type ClientSetup } from '../../src/setup/clientConfigs.ts';
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

/** As `cwm connect` does it. @returns the file. */
async function setUp(client: string, where: Pick<ClientSetup, 'base' | 'token' | 'home'>): Promise<string> {
  const change = clientConfigs[client]?.change({ ...where, model: 'stub-model', codeUser: null });
  if (!change) throw new Error(`${client} has no file.`);
  await mkdir(path.dirname(change.file), { recursive: true });
  await writeFile(change.file, change.apply(null));
  return change.file;
}

describe('programs that nobody here wrote', () => {
  test('Continue: two turns, another process between them, are one session in the project that its prompt names', async () => {
    const { home, folder, gateway, run } = await place('continue');
    const config = await setUp('continue', { base: gateway.url, token: gateway.token, home });
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
    await setUp('codex', { base: gateway.url, token: gateway.token, home });
    const model = ['-c', 'model_provider=cwm', '-m', 'stub-model'];
    const exec = (...args: string[]): Promise<string> =>
      run('codex', ['exec', '--skip-git-repo-check', ...model, ...args]);
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
