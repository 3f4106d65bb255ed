import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { noteFigure } from '../engines/live/figures.ts';
import { gemmaModel } from '../engines/live/gemmaModel.ts';
import { startLlamaServer } from '../engines/live/llamaServer.ts';
import { prose } from '../engines/live/liveProduct.ts';
import { isNightly } from '../support/nightly.ts';
import { ask, openAi, type Said } from './openAi.ts';
import { served } from './served.ts';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});
const never = new AbortController().signal;
const user = (content: string): Said => ({ role: 'user', content });
const assistant = (content: string): Said => ({ role: 'assistant', content });

test('two turns are one session in the right project, a fork is a branch, a stop stores the part', async () => {
  const gateway = await served(cleanUps);
  const api = openAi(gateway, 'demo');
  const model = (await api.models.list()).data[0]?.id ?? '';
  const hi = [{ role: 'system', content: 'You are terse.' }, user('Say hi')];
  const { text: first } = await ask(api, model, hi);
  const again = [...hi, assistant(first), user('And again')];
  const { text: second } = await ask(api, model, again);
  const said = ['user: Say hi', `assistant (limit): ${first}`, 'user: And again', `assistant (limit): ${second}`];
  await expect.poll(() => gateway.sessions()).toEqual([{ project: 'project://demo', branches: 1, said }]);
  const other = await ask(api, model, [...again.slice(0, 3), user('Another way')]);
  await expect
    .poll(async () => (await gateway.sessions())[0])
    .toMatchObject({ branches: 2, said: { 3: `assistant (limit): ${other.text}` } });

  await ask(api, model, [...again, assistant(second), user('Tell a long story.')], 5);
  await expect.poll(async () => (await gateway.sessions())[0]?.said.at(-1)).toMatch(/^assistant \(stopped\): ./);
  expect(await gateway.sessions()).toHaveLength(1);
});

// The story of the same package has llama-server in every run.
test.each(isNightly ? ['embedded', 'llama-server'] : ['embedded'])(
  'after kill -9 of the model server and an end of the backend, the next turn is warm: %s',
  async (kind) => {
    let engine: string | null = null;
    let killServer = (): Promise<unknown> => Promise.resolve();
    if (kind === 'llama-server') {
      const slotDir = await mkdtemp(path.join(tmpdir(), 'cwm-slots-'));
      cleanUps.push(() => rm(slotDir, { recursive: true, force: true }));
      const start = {
        modelPath: gemmaModel(),
        slotDir,
        servedName: 'gemma',
        contextTokens: 4096,
        slots: 1,
        threads: 2,
      };
      let server = await startLlamaServer(start, never);
      cleanUps.push(() => server.stop());
      engine = `${server.url}#slots=${slotDir}`;
      killServer = async () => {
        await server.kill();
        server = await startLlamaServer({ ...start, port: Number(new URL(server.url).port) }, never);
      };
    }
    const gateway = await served(cleanUps, engine);
    const api = openAi(gateway, 'demo');
    const model = (await api.models.list()).data[0]?.id ?? '';
    const messages = [{ role: 'system', content: prose('a system prompt', 250) }, user('Say hi')];
    const first = await ask(api, model, messages);
    messages.push(assistant(first.text), user('And again'));
    const second = await ask(api, model, messages);
    await expect.poll(async () => (await gateway.sessions())[0]?.said.length).toBe(4);
    await gateway.killEngine();
    if (kind === 'llama-server') {
      // Its slots go with the server: what counts is the checkpoint that comes by itself, two seconds after an answer.
      const session = (await gateway.client.call('listSessions', {})).items[0]?.id ?? '';
      await expect.poll(async () => (await gateway.client.call('autoFreezeCheck', { session })).isChanged).toBe(false);
      await gateway.restart();
    }
    await killServer();
    if (kind !== 'llama-server') await gateway.restart();
    messages.push(assistant(second.text), user('Once more'));
    const third = await ask(openAi(gateway, 'demo'), model, messages);
    noteFigure(
      `gateway on ${kind}: ${first.promptTokens} tokens cold in ${Math.round(first.firstMs)} ms to the first token; the second turn reused ` +
        `${second.cachedTokens} of ${second.promptTokens}; after kill -9 and a new backend, ${third.cachedTokens} of ${third.promptTokens} ` +
        `in ${Math.round(third.firstMs)} ms`,
    );
    await expect.poll(async () => (await gateway.sessions()).map(({ said }) => said.length)).toEqual([6]);
    expect(third.cachedTokens).toBeGreaterThanOrEqual(first.promptTokens - 64);
  },
);
