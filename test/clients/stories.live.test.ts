import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { FakeLlamaServer } from '../fakes/fakeLlamaServer.ts';
import { noteFigure } from '../engines/live/figures.ts';
import { crashGroup } from '../engines/live/processGroup.ts';
import { allItems } from '../../src/protocol/paging.ts';
import { isNightly } from '../support/nightly.ts';
import { drivers, type Driver, type Place, type Turn } from './drivers.ts';
import { floor } from './floor.ts';
import { startGemma } from './gemmaServer.ts';
import { recorded } from './recorder.ts';
import { scriptedServer } from './scriptedServer.ts';
import { served, type Served } from './served.ts';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** A model server that can be killed: Gemma in llama.cpp's own server, or one without a model for prompts that would take minutes. */
interface Killable {
  readonly url: string;
  /** `kill -9`, and started again over the same files. */
  killAndStart(): Promise<void>;
}

async function gemmaServer(slotDir: string): Promise<Killable> {
  let server = await startGemma(slotDir);
  cleanUps.push(() => server.stop());
  return {
    url: server.url,
    async killAndStart() {
      await server.kill();
      server = await startGemma(slotDir, Number(new URL(server.url).port));
    },
  };
}

async function serverWithoutModel(slotDir: string): Promise<Killable> {
  const fake = await FakeLlamaServer.start({
    slotDir,
    slots: 1,
    faults: { model: 'gemma', contextTokens: 2_000_000, answer: [...Buffer.from('Red.'), 257] },
  });
  cleanUps.push(() => fake.stop());
  return { url: fake.url, killAndStart: () => fake.restart() };
}

/** With CWM_CLIENTS_REAL=1, each client meets the real model, with 0 only those of every run. */
function isRealFor({ isReal }: Driver): boolean {
  const wish = process.env['CWM_CLIENTS_REAL'];
  return wish === '1' || isReal === true || (isNightly && wish !== '0');
}

/** One client with a home of its own, the gateway, and a model server behind it. */
async function begin(driver: Driver) {
  const home = await mkdtemp(path.join(tmpdir(), 'cwm-client-'));
  cleanUps.push(() => rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));
  const folder = path.join(home, 'app');
  const slotDir = path.join(home, 'slots');
  for (const each of [folder, slotDir]) await mkdir(each);
  await writeFile(path.join(folder, 'a.txt'), 'Red.\n');
  const isReal = isRealFor(driver);
  const engine = await (isReal ? gemmaServer(slotDir) : serverWithoutModel(slotDir));
  const { url, seen, scripted } = await scriptedServer(() => engine.url, cleanUps);
  const gateway = await served(cleanUps, `${url}#slots=${slotDir}`);
  const project = driver.namesFolder ? `file://${folder}` : 'project://demo';
  const front = await recorded(gateway.url, driver.label, home, cleanUps);
  const base = driver.namesFolder ? front : `${front}/p/demo`;
  const place: Place = { home, folder, base, token: gateway.token, model: 'gemma' };
  driver.setUp?.(place);
  const start = (turn: Turn) => {
    const { program, args, env } = driver.command(place, turn);
    const child = spawn(program, args, {
      cwd: folder,
      env: { PATH: process.env['PATH'], HOME: home, LANG: 'C.UTF-8', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      // As in a terminal, whose signals go to the client and to what it starts. On Windows it would have a console window of its own.
      detached: process.platform !== 'win32',
    });
    const { pid } = child;
    if (pid === undefined) throw new Error(`${program} does not start.`);
    cleanUps.push(async () => crashGroup(pid));
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (piece: Buffer) => (output += piece.toString()));
    const stop = (): boolean => (process.platform === 'win32' ? child.kill('SIGINT') : process.kill(-pid, 'SIGINT'));
    return { stop, ended: once(child, 'close').then(([code]) => ({ code: code as number | null, output })) };
  };
  const say = async (text: string, way: Turn['way'] = 'resume'): Promise<void> => {
    const { code, output } = await start({ text, way }).ended;
    expect(code, `${driver.label} said "${text}":\n${output.slice(-3000)}`).toBe(0);
  };
  /** Every session as its project and what the person said in it. */
  const told = async (texts: readonly string[]) =>
    (await gateway.sessions()).map(({ project, said, branches }) => ({
      project,
      branches,
      said: said.flatMap((line) => (line.startsWith('user') ? texts.filter((text) => line.includes(text)) : [])),
    }));
  /** Of what the client asked for since the backend started: every request, and those that became turns. */
  const counted = async () => {
    const { items } = await gateway.client.call('gatewayClients', {});
    const sum = (field: 'requests' | 'turns') => items.reduce((all, item) => all + item[field], 0);
    return { requests: sum('requests'), turns: sum('turns') };
  };
  return { isReal, counted, engine, scripted, seen, gateway, project, start, say, told };
}

/** Every branch of a session with all of its messages. */
async function branchesOf({ client }: Served, session: string) {
  const { items } = await client.call('listBranches', { session });
  return await Promise.all(
    items.map(async ({ name: branch, parentMessageId: parent }) => ({
      parent,
      said: await allItems((page) => client.call('listMessages', { session, branch, ...page })),
    })),
  );
}

/** Of a sliding window, the last tokens are computed again. */
const windowTokens = 64;
/** How long the server takes to load the KV of a frozen session. Each wait of a client is its own, so that in every run one has the long one. */
const slowThawMs = ({ label }: Driver): number => (isNightly || label === 'openai of npm' ? 15_000 : 2000);
/** A model server is left so soon after the client has left. */
const leavesWithinMs = 100;

/** A prompt of 20,000 tokens takes two cores a minute, and a story asks for some that share nothing. */
const mostMs = process.env['CWM_CLIENTS_REAL'] === '1' || isNightly ? 3_600_000 : 600_000;

const only = process.env['CWM_CLIENTS'];
const chosen = drivers.filter(({ label, isInEveryRun }) =>
  only === undefined ? isInEveryRun === true || isNightly : label === only,
);

test.each(chosen)(
  '$label: turns, a tool, a restart, a slow thaw after kill -9, a fork and a stop are one session in its project',
  { timeout: mostMs },
  async (driver) => {
    const startedMs = performance.now();
    const { isReal, counted, engine, scripted, seen, gateway, project, start, say, told } = await begin(driver);
    const texts = ['Say hi', 'And again', 'USETOOL please', 'THINK first', 'Once more', 'After the thaw'];
    await say('Say hi', 'begin');
    await say('And again');
    await say('USETOOL please');
    const called = seen.flatMap(({ called: tool }) => tool ?? []);
    expect(called).toHaveLength(driver.hasNoTools ? 0 : 1);
    await say('THINK first');
    const early = await counted();
    await gateway.restart();
    await say('Once more');
    const isTold = (said: readonly string[]) =>
      expect
        .poll(() => told(texts))
        .toEqual([{ project, branches: 1, said }])
        // A model's answer may be why, and nothing else has it.
        .catch(async (error: unknown) => {
          console.error(JSON.stringify(await gateway.sessions(), null, 1));
          throw error;
        });
    await isTold(texts.slice(0, -1));

    const session = (await gateway.client.call('listSessions', {})).items[0]?.id ?? '';
    // Softly, what does not end a story: one of some minutes tells all that is wrong.
    expect.soft(await gateway.called(session)).toEqual(expect.arrayContaining(called));
    const others = (await gateway.sessions()).flatMap(({ said: lines }) =>
      lines.filter((line) => line.startsWith('user') && !texts.some((text) => line.includes(text))),
    );
    expect.soft(others, 'Messages of the user that the user did not write').toHaveLength(driver.ownMessages ?? 0);
    await gateway.client.call('freeze', { session, window: 'w' });
    await engine.killAndStart();
    scripted.holdRestoreMs = slowThawMs(driver);
    const before = seen.filter(({ isScripted, promptTokens }) => !isScripted && promptTokens !== null);
    await say('After the thaw');
    scripted.holdRestoreMs = 0;
    await isTold(texts);
    const asked = seen.slice(before.length).find(({ chat }) => JSON.stringify(chat.messages.at(-1)).includes('thaw'));
    if (!asked) throw new Error('The model server was not asked.');
    const common = await floor(engine.url, asked, before);
    expect.soft(common).toBeGreaterThan((driver.keeps ?? 0.8) * (asked.promptTokens ?? 0));
    // Who goes back in the conversation gets what llama-server has a checkpoint of: at most as many tokens more are computed as must be.
    const lost = isReal && driver.keeps !== undefined ? (asked.promptTokens ?? 0) - common : 0;
    expect.soft(asked.cachedTokens).toBeGreaterThanOrEqual(common - windowTokens - lost);

    const stopped = start({ text: 'SLOWLY please', way: 'resume' });
    await expect.poll(() => seen.at(-1)?.isScripted).toBe(true);
    const slow = seen.at(-1);
    await expect.poll(async () => (await gateway.client.call('gatewayClients', {})).items.length).toBeGreaterThan(0);
    stopped.stop();
    await expect.poll(() => slow?.leftMs).not.toBeNull();
    await stopped.ended;
    const leftAfterMs = (slow?.leftMs ?? Infinity) - (gateway.leftMs() ?? 0);
    if (isNightly) expect.soft(leftAfterMs).toBeLessThan(leavesWithinMs);
    // Who asks again by itself (gptme) says the part in other words, which is another branch.
    const ends = async () =>
      (await branchesOf(gateway, session)).map(({ said: all }) => ({
        cut: all.at(-1)?.cut,
        content: all.at(-1)?.content,
      }));
    const part = { type: 'text', text: expect.stringMatching(/^(word\d+ ?)*$/) as unknown };
    await expect.poll(ends).toContainEqual({ cut: 'stopped', content: part });

    if (!driver.cannotFork) {
      await say('Another way', 'fork');
      if (driver.forksAtEnd) await say('The first way', 'first');
      const { branches = 2 } = driver;
      await expect.poll(async () => (await told(texts)).map((each) => each.branches)).toEqual([branches]);
      const all = await branchesOf(gateway, session);
      for (const { parent, said: messages } of all.filter((branch) => branch.parent !== null)) {
        expect.soft(all.filter(({ said: others }) => others.some(({ id }) => id === parent)).length).toBeGreaterThan(1);
        const heard = JSON.stringify(messages.slice(0, messages.findIndex(({ id }) => id === parent) + 1));
        for (const text of texts.slice(0, -1)) expect.soft(heard).toContain(text);
        expect.soft(heard).not.toContain('Another way');
      }
      expect.soft(all.filter(({ parent }) => parent === null)).toHaveLength(1);
      expect.soft(all.filter(({ said: messages }) => JSON.stringify(messages).includes('Another way'))).toHaveLength(1);
    }
    const late = await counted();
    const turns = early.turns + late.turns;
    const errands = early.requests + late.requests - turns;
    const saidTurns = 7 + (driver.hasNoTools ? 0 : 1) + (driver.cannotFork ? 0 : driver.forksAtEnd ? 2 : 1);
    expect.soft(turns).toBe(driver.turns ?? saidTurns);
    expect.soft(driver.errands ?? [0]).toContain(errands);
    noteFigure(
      `${driver.label} | ${isReal ? 'Gemma 3 270M' : 'no model'} | ${asked.promptTokens} prompt tokens, ${common} of them computed before, ` +
        `${asked.cachedTokens} reused after kill -9 | 1 session, ${turns} turns, ${errands} requests of its own, ` +
        `${(await told(texts))[0]?.branches} branches | left after ${leftAfterMs.toFixed(1)} ms | ${Math.round((performance.now() - startedMs) / 1000)} s`,
    );
  },
);
