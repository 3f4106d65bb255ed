import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { expect, onTestFinished, test } from 'vitest';

import { folderStory } from '../../cli/support/folderStory.ts';
import { cliOn } from '../../cli/support/cli.ts';
import { killHard, readRecord, realBackends, realStart } from '../../client/support/realBackends.ts';
import { eventually } from '../../support/eventually.ts';
import { noteFigure } from './figures.ts';
import { llamaModel } from './llamaModel.ts';
import { startLlamaServer } from './llamaServer.ts';
import { oneSlotServer } from './oneSlotServer.ts';

const { makeStorage, client } = realBackends();
const never = new AbortController().signal;

const question = (about: string): string =>
  Array.from({ length: 24 }, (_, at) => `${about} line ${at}: ${at * 7919}`).join('\n');

test('S0-16 S2-16 folders open warm on a real llama-server with one slot, after a message at once in the second one and a kill -9 of it and of the backend', async () => {
  const server = await oneSlotServer();
  const storage = makeStorage();
  await cliOn(storage).json('use', server.engine);
  await folderStory({
    storage,
    place: makeStorage(),
    client: () => client(storage),
    killAll: async () => {
      await Promise.all([server.kill(), killHard(readRecord(storage).pid)]);
      await server.startAgain();
    },
    tokensPerBlock: 1,
    isInHurry: true,
  });
});

test('S0-50 one budget is over embedded blocks and the slot files of real llama-servers, and a deleted session leaves KV on none of those that it used; git branches have sessions of their own in a real folder', async () => {
  const modelPath = await llamaModel({ signal: never });
  const folders: string[] = [];
  const started = async (): Promise<string> => {
    const slotDir = await mkdtemp(join(tmpdir(), 'cwm-live-'));
    onTestFinished(() => rm(slotDir, { recursive: true, force: true }));
    folders.push(slotDir);
    const server = await startLlamaServer({ modelPath, slotDir, servedName: 'tiny', slots: 1 }, never);
    onTestFinished(() => server.stop());
    return `${server.url}#slots=${encodeURI(slotDir)}`;
  };
  const [former, latter] = [await started(), await started()];
  const storage = makeStorage();
  const folder = makeStorage();
  const budgetBytes = 1_500_000;
  const cwm = client(storage, { start: { ...realStart, args: ['--kv-budget-gb', String(budgetBytes / 1e9)] } });
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', folder, '-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { encoding: 'utf8' });
  git('init', '-q', '-b', 'main');
  git('commit', '-q', '--allow-empty', '-m', 'one');
  const project = pathToFileURL(folder).href;

  const sizes: number[] = [];
  const keep = async (session: string, engine: string): Promise<void> => {
    await cwm.call('send', { session, text: question(`${session} ${sizes.length}`), maxTokens: 4, engine });
    const window = `${session}-${sizes.length}`;
    await cwm.call('freeze', { session, window, checkpoint: true });
    sizes.push((await cwm.call('getWindow', { window })).kv.kvBytes ?? 0);
  };
  await cwm.call('createSession', { id: 'own', engine: 'embedded' });
  await keep('own', 'embedded');
  for (const session of ['one', 'two']) {
    await cwm.call('createSession', { id: session, project, engine: former });
    for (const engine of [former, latter]) await keep(session, engine);
  }
  const filesIn = async (): Promise<string[]> => {
    const listed = await Promise.all(
      folders.map(async (slotDir) => (await readdir(slotDir)).map((name) => join(slotDir, name))),
    );
    return listed.flat();
  };
  const onDisk = async (): Promise<number> => {
    const { kv } = await cwm.call('usage', {});
    const ofSlots = await Promise.all((await filesIn()).map(async (file) => (await stat(file)).size));
    return kv.bytes + ofSlots.reduce((sum, size) => sum + size, 0);
  };
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(budgetBytes);
  await eventually(async () => expect(await onDisk()).toBeLessThanOrEqual(budgetBytes));
  noteFigure(
    `One budget of ${budgetBytes} bytes over embedded blocks and slot files of two servers: windows of ${sizes.join(', ')} bytes, ${await onDisk()} left on the disk`,
  );

  // The branch that comes back has its session again.
  const open = async (session: string): Promise<void> => {
    const gitBranch = git('branch', '--show-current').trim();
    const opened = await cwm.call('openProject', { project, gitBranch, eachBranch: true });
    expect(opened.session?.id).toBe(session);
    await eventually(async () => {
      const { warming } = await cwm.call('openedProject', { project });
      expect(warming?.state).not.toBe('running');
    });
  };
  await cwm.call('setCurrentSession', { project, session: 'one' });
  await open('one');
  git('checkout', '-q', '-b', 'other');
  await open('one');
  await cwm.call('setCurrentSession', { project, session: 'two' });
  git('checkout', '-q', 'main');
  await open('one');
  git('checkout', '-q', 'other');
  await open('two');

  for (const session of ['one', 'two']) {
    expect((await cwm.call('getSession', { session })).formerEngines).toEqual([former]);
    const { unreached } = await cwm.call('deleteSession', { session, cascade: true });
    expect(unreached ?? []).toEqual([]);
  }
  expect(await filesIn()).toEqual([]);
  await cwm.call('deleteSession', { session: 'own', cascade: true });
  expect(await onDisk()).toBe(0);
});

test('S0-16 "cwm stop" names the session that a llama-server which hangs could not save, and what computing it again takes', async () => {
  const slotDir = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  onTestFinished(() => rm(slotDir, { recursive: true, force: true }));
  const modelPath = await llamaModel({ signal: never });
  const server = await startLlamaServer({ modelPath, slotDir, servedName: 'tiny', slots: 1 }, never);
  onTestFinished(() => server.stop());
  const storage = makeStorage();
  const cwm = client(storage);
  await cwm.call('createSession', { id: 's', engine: `${server.url}#slots=${encodeURI(slotDir)}` });
  await cwm.call('send', { session: 's', text: question('s'), maxTokens: 4 });
  const tokens = (await cwm.call('getSession', { session: 's' })).tokens?.count ?? 0;
  process.kill(server.pid, 'SIGSTOP');
  onTestFinished(() => void process.kill(server.pid, 'SIGCONT'));
  const { stdout } = await cliOn(storage).run('stop');
  expect(stdout).toContain('The KV of 1 session was not saved within 4 s, which is the limit.');
  expect(stdout).toContain(`  · s: ${tokens} tokens`);
});
