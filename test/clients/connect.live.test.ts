import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { runCommandLine } from '../../src/cli/program.ts';
import { clientConfigs } from '../../src/setup/clientConfigs.ts';
import { FakeTerminal } from '../cli/support/fakeTerminal.ts';
import { FakeLlamaServer } from '../fakes/fakeLlamaServer.ts';
import { drivers, type Command } from './drivers.ts';
import { clientFolder } from './install.ts';
import { served } from './served.ts';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** What a client has in its file before, in the form in which it writes it itself. */
const owns: Readonly<Record<string, { readonly driver: string; readonly text: string }>> = {
  continue: { driver: 'Continue', text: '' },
  opencode: {
    driver: 'OpenCode',
    text: '{\n  "$schema": "https://opencode.ai/config.json",\n  // mine\n  "share": "disabled",\n}\n',
  },
  codex: { driver: 'Codex', text: '# mine\npersonality = "pragmatic"\n' },
  'claude-code': {
    driver: 'Claude Code',
    text: '{\n  "env": {\n    "EDITOR": "vi"\n  },\n  "includeCoAuthoredBy": false\n}\n',
  },
  cline: {
    driver: 'Cline',
    text: `${JSON.stringify(
      {
        version: 1,
        lastUsedProvider: 'anthropic',
        modes: {},
        providers: {
          anthropic: {
            settings: { provider: 'anthropic', apiKey: 'sk-own', model: 'large' },
            updatedAt: '2026-11-01T00:00:00.000Z',
            tokenSource: 'manual',
          },
        },
      },
      null,
      2,
    )}\n`,
  },
  qwen: { driver: 'Qwen Code', text: '{\n  "ui": {\n    "hideTips": true\n  },\n  "$version": 4\n}' },
};

const cases = Object.entries(owns).flatMap(([kind, { driver: label, text }]) => {
  const driver = drivers.find((each) => each.label === label);
  if (!driver) throw new Error(`There is no driver of ${label}.`);
  if (!existsSync(path.join(clientFolder(driver.client), 'complete.json'))) return [];
  const without = { kind, driver, text: '', state: 'no file before' };
  return text === '' ? [without] : [without, { kind, driver, text, state: 'a file of its own before' }];
});

async function backend() {
  const slotDir = await mkdtemp(path.join(tmpdir(), 'cwm-connect-slots-'));
  const home = await mkdtemp(path.join(tmpdir(), 'cwm-connect-home-'));
  for (const made of [slotDir, home]) cleanUps.push(() => rm(made, { recursive: true, force: true }));
  const faults = { model: 'gemma', contextTokens: 200_000, answer: [...Buffer.from('Red.'), 257] };
  const fake = await FakeLlamaServer.start({ slotDir, slots: 1, faults });
  cleanUps.push(() => fake.stop());
  const { storage, url, client } = await served(cleanUps, `${fake.url}#slots=${slotDir}`);
  const folder = path.join(home, 'work');
  await mkdir(folder);
  const cwm = (...args: string[]) => {
    const terminal = new FakeTerminal({ env: { HOME: home }, cwd: folder, isWatched: true });
    const run = async (): Promise<void> => {
      const code = await runCommandLine([...args, '--storage', storage], terminal);
      if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${terminal.stderr}`);
    };
    return { terminal, ended: run() };
  };
  /** Connects a client, has it ask once, and waits until the command says that it works. @returns what the client printed. */
  const connect = async (kind: string, ask: (hint: string) => Command): Promise<string> => {
    const { terminal, ended } = cwm('connect', kind, '--yes');
    await Promise.race([ended, expect.poll(() => terminal.stderr).toContain('Waiting for its first request')]);
    const { stdout } = await run(ask(terminal.stdout));
    await ended;
    expect(terminal.stderr).toMatch(/ works: its request was answered\.\n$/);
    return stdout;
  };
  const run = ({ program, args, env }: Command): Promise<{ readonly stdout: string }> => {
    const running = promisify(execFile)(program, args, {
      cwd: folder,
      env: { PATH: process.env['PATH'], HOME: home, LANG: 'C.UTF-8', ...env },
      timeout: 120_000,
    });
    running.child.stdin?.end();
    return running;
  };
  return { home, folder, url, client, cwm, connect };
}

test.each(cases)(
  'cwm connect $kind, one turn by the program itself, and --undo: $state',
  async ({ kind, driver, text }) => {
    const { home, folder, url, client, cwm, connect } = await backend();
    const file = clientConfigs[kind]?.change({ base: '', token: '', model: '', home, codeUser: null })?.file ?? '';
    await mkdir(path.dirname(file), { recursive: true });
    if (text !== '') await writeFile(file, text);
    const place = { home, folder, base: url, token: 'none', model: 'gemma' };
    const turn = { text: 'Which colour has the sky at sunset?', way: 'begin' } as const;
    expect(await connect(kind, () => driver.command(place, turn))).toContain('Red.');
    await expect.poll(async () => (await client.call('listSessions', {})).items).toHaveLength(1);
    await cwm('connect', kind, '--undo').ended;
    expect(existsSync(file) ? readFileSync(file, 'utf8') : '').toBe(text);
    expect((await readdir(path.dirname(file))).filter((name) => name.includes('.before-cwm-'))).toEqual([]);
  },
);

test('cwm connect curl, and the command that it prints', async () => {
  const { client, cwm, connect } = await backend();
  const command = (hint: string): string => /^Run: (curl .*)$/m.exec(hint)?.[1] ?? '';
  expect(await connect('curl', (hint) => ({ program: 'bash', args: ['-c', command(hint)] }))).toContain('Red.');
  await cwm('connect', 'curl', '--undo').ended;
  expect((await client.call('gatewayClients', {})).items).toMatchObject([{ name: 'curl', createdAt: null }]);
});
