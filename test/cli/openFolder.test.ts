import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { runCommandLine } from '../../src/cli/program.ts';
import { killHard, realBackends } from '../client/support/realBackends.ts';
import { cliOn } from './support/cli.ts';
import { FakeTerminal } from './support/fakeTerminal.ts';
import { folderStory, question } from './support/folderStory.ts';
import { linesOf } from './support/scriptedPrompter.ts';

const { makeStorage, client } = realBackends();

describe('a folder that is opened', () => {
  it('S0-16 S2-16 has its conversation warm after a kill -9 of backend and embedded engine, and so has the other one', async () => {
    const storage = makeStorage();
    const killAll = async (): Promise<void> => {
      const { pid, engines } = (await cliOn(storage).json('status')) as unknown as {
        pid: number;
        engines: { pid: number | null }[];
      };
      await Promise.all([pid, ...engines.flatMap((engine) => engine.pid ?? [])].map(killHard));
    };
    await folderStory({
      storage,
      place: makeStorage(),
      client: () => client(storage),
      killAll,
      tokensPerBlock: 32,
    });
  });

  it('says in words what came of it', async () => {
    const storage = makeStorage();
    const place = makeStorage();
    const cwm = cliOn(storage, place);
    expect((await cwm.run('open')).stdout).toMatch(
      /^Project \S+ \(new folder\)\n\/.* has no current session\. "cwm chat" begins one\.\n$/,
    );
    await cwm.json('session', 'new', '--id', 's', '--project', '.');
    const known = await cwm.run('open');
    expect(known.code).toBe(0);
    expect(known.stdout).toMatch(/^Project \S+ \(known folder\)\ns \(session s\)\nIt has no context yet\.\n$/);
    await cwm.json('send', 's', question('s'), '--max-tokens', '4');
    await cwm.json('stop');
    expect((await cwm.run('open')).stdout).toMatch(
      /^Project .*\ns line 0.* \(session s\)\nProven: [\d,]+ of [\d,]+ tokens came from disk/,
    );
  });

  it('S2-11 says that its configuration named the project, and S2-16 that a git branch changes nothing where all share a session', async () => {
    const storage = makeStorage();
    const place = makeStorage();
    const cwm = cliOn(storage, configured(place, { branches: 'shared' }));
    const { stdout } = await cwm.run('open', '--git-branch', 'main');
    expect(stdout).toMatch(/^Project Own \(by its configuration, .*config\.json\)\n/);
    expect(stdout).toContain('(branches: shared), so the branch changes nothing here.');
    expect((await cwm.run('open')).stdout).not.toContain('shared');
    configured(place, { branches: 'separate' });
    expect((await cwm.run('open', '--git-branch', 'main')).stdout).not.toContain('shared');
  });
});

/** Gives a folder a configuration. */
function configured(folder: string, more: object): string {
  mkdirSync(join(folder, '.cwm'), { recursive: true });
  const config = JSON.stringify({ version: '1.0', project: { name: 'Own' }, ...more });
  writeFileSync(join(folder, '.cwm', 'config.json'), config);
  return folder;
}

describe('S2-12 a folder with strict_mode', () => {
  it('refuses every command that is run below it the changes of another project, and nothing that only reads', async () => {
    const storage = makeStorage();
    const other = makeStorage();
    const outside = cliOn(storage, other);
    await outside.json('session', 'new', '--id', 'theirs', '--project', '.');
    await outside.json('send', 'theirs', 'What is ice?', '--max-tokens', '4');
    await outside.json('freeze', 'theirs', 'w', '--checkpoint');
    const folder = makeStorage();
    const below = join(configured(folder, { strict_mode: true }), 'src');
    mkdirSync(below);
    const inside = cliOn(storage, below);
    const refused: readonly string[][] = [
      ['send', 'theirs', 'x'],
      ['freeze', 'theirs', 'v'],
      ['thaw', 'w'],
      ['clone', 'w', 'v'],
      ['pin', 'w'],
      ['delete', 'w'],
      ['session', 'new', '--project', other],
      ['session', 'set', 'theirs', '--title', 'x'],
      ['session', 'delete', 'theirs'],
      ['branch', 'new', 'theirs', 'b'],
    ];
    for (const args of refused) {
      const error = await inside.refusal(...args);
      expect([args, error]).toEqual([args, expect.objectContaining({ code: 'CWM-3101' })]);
    }
    expect((await inside.json('session', 'list'))['items']).toHaveLength(1);
    expect((await inside.run('session', 'show', 'theirs')).code).toBe(0);
    await inside.json('session', 'new', '--id', 'own', '--project', folder);
    await inside.json('send', 'own', 'What is ice?', '--max-tokens', '4');
    // The next command of another folder is not held to it, though this process is the client of both.
    await outside.json('send', 'theirs', 'And water?', '--max-tokens', '4');

    const agent = client(storage, { kind: 'mcp', workingDirectory: below });
    const send = () => agent.call('send', { session: 'theirs', text: 'x' });
    await expect(send()).rejects.toMatchObject({ code: 'CWM-3101' });
    await agent.call('setWorkingDirectory', { directory: other });
    await send();
    await agent.call('setWorkingDirectory', { directory: below });
    // Another backend knows nothing of it, and is told again.
    await killHard((await agent.connect()).pid);
    await expect(send()).rejects.toMatchObject({ code: 'CWM-3101' });
  });

  it('S2-11 a configuration that is bad stops every change, with its own message; a folder that is gone stops none', async () => {
    const storage = makeStorage();
    const folder = configured(makeStorage(), { strict_mode: 'yes' });
    const cwm = cliOn(storage, folder);
    const error = await cwm.refusal('session', 'new', '--id', 's');
    expect(error).toMatchObject({
      code: 'CWM-1003',
      message: expect.stringContaining('"strict_mode" is "yes", and must be true or false') as unknown,
    });
    expect((await cwm.run('session', 'list')).code).toBe(0);
    await cliOn(storage, join(folder, 'gone')).json('session', 'new', '--id', 's');
  });
});

describe('adopting a project', () => {
  it('names both projects and what would move, and moves nothing without a yes', async () => {
    const storage = makeStorage();
    const [from, into] = [makeStorage(), makeStorage()];
    for (const [at, folder] of [from, from, into].entries())
      await cliOn(storage).json('session', 'new', '--id', `s${at}`, '--project', folder);
    const answering = async (lines: readonly string[], ...args: string[]) => {
      const terminal = new FakeTerminal({ env: process.env, cwd: into, prompter: linesOf(lines) });
      const code = await runCommandLine(['project', 'adopt', from, ...args, '--storage', storage], terminal);
      return { code, said: terminal.stderr, done: terminal.stdout };
    };
    const of = async (folder: string): Promise<unknown> => {
      const { items } = await client(storage).call('listSessions', { project: pathToFileURL(folder).href });
      return items.length;
    };
    for (const lines of [[], ['n'], ['']]) {
      const { code, said, done } = await answering(lines);
      expect([code, done]).toEqual([1, '']);
      expect(said).toContain(`2 sessions of "`);
      expect(said).toContain(`(${from}), with their windows`);
      expect(said).toContain(`(${into}), which has 1 session.`);
      expect(said).toContain('Nothing was changed.');
      expect(said).toContain('--yes');
    }
    expect([await of(from), await of(into)]).toEqual([2, 1]);
    expect((await answering(['y'])).done).toContain('2 sessions of');
    expect([await of(from), await of(into)]).toEqual([0, 3]);
    await cliOn(storage).json('session', 'move', 's0', from);
    expect((await answering([], '--yes')).code).toBe(0);
    expect([await of(from), await of(into)]).toEqual([0, 3]);
  });
});
