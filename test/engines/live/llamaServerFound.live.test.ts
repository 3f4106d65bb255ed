import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { noteFigure } from './figures.ts';
import { liveProduct, prose, type LiveProduct } from './liveProduct.ts';
import type { ModelServer } from './guardedServer.ts';
import { llamaModel } from './llamaModel.ts';
import { startLlamaServer } from './llamaServer.ts';

const never = new AbortController().signal;
let slotDir: string;
let server: ModelServer;
let product: LiveProduct;

const start = async (): Promise<ModelServer> =>
  startLlamaServer({ modelPath: await llamaModel({ signal: never }), slotDir, port: 18_437 }, never);

beforeAll(async () => {
  slotDir = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  server = await start();
  product = await liveProduct();
});
afterAll(async () => {
  await product[Symbol.asyncDispose]();
  await server.stop();
  await rm(slotDir, { recursive: true, force: true });
});

test('a real llama-server whose folder nobody named: found by its process, proven from disk after kill -9', async () => {
  const { cwm, engines } = product;
  await cwm.createSession({ id: 's', engine: server.url });
  await cwm.send({ session: 's', text: prose('found', 120), maxTokens: 8 }, never);
  const frozen = await cwm.freeze({ session: 's', window: 'w' }, never);
  expect(frozen).toMatchObject({ verdict: 'proven', content: { checksums: 'agreed' } });
  // Nothing is left of the file that the client asked for to confirm the folder.
  expect(await readdir(slotDir)).toHaveLength(1);

  await server.kill();
  server = await start();
  const thawed = await cwm.thaw({ window: 'w' }, never);
  expect(thawed).toMatchObject({ verdict: 'proven', tier: 'disk', content: { checksums: 'agreed', canary: 'agreed' } });
  expect(await readdir(slotDir)).toHaveLength(1);
  noteFigure(
    `llama-server without #slots=: ${thawed.verdict}, ${thawed.cachedTokens} of ${thawed.promptTokens} reused, ` +
      `checksums ${thawed.content.checksums}`,
  );

  const { notices } = await engines.get(server.url).describe(never);
  expect(notices.join(' ')).toContain(`${slotDir}, found in the command line of process`);
  const { items } = await engines.get(server.url).probe(never);
  expect(items.find(({ name }) => name === 'block-files')).toMatchObject({ state: 'yes' });
});

test('with #slots=off the same server is blind, and the word is reused', async () => {
  const { cwm } = product;
  await cwm.createSession({ id: 'blind', engine: `${server.url}#slots=off` });
  await cwm.send({ session: 'blind', text: prose('blind', 120), maxTokens: 8 }, never);
  await cwm.freeze({ session: 'blind', window: 'blind' }, never);
  expect(await cwm.thaw({ window: 'blind' }, never)).toMatchObject({
    verdict: 'reused',
    content: { checksums: 'not-run' },
  });
});

const findings = async (engine: string) => {
  const { items } = await product.engines.get(engine).probe(never);
  const of = (name: string) => items.find((item) => item.name === name);
  return { persistence: of('persistence'), files: of('block-files') };
};

test('Doctor has it save a slot, looks for the file in the named folder, and deletes it', async () => {
  const before = await readdir(slotDir);
  expect(await findings(`${server.url}#slots=${slotDir}`)).toMatchObject({
    persistence: { state: 'yes' },
    files: { state: 'yes' },
  });
  expect(await readdir(slotDir)).toEqual(before);
});

test('Doctor says that a named folder is not the one of the server, and a thaw does without it', async () => {
  const { cwm } = product;
  const other = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  try {
    const before = await readdir(slotDir);
    const engine = `${server.url}#slots=${other}`;
    const { persistence, files } = await findings(engine);
    expect(persistence?.state).toBe('yes');
    const [left = ''] = (await readdir(slotDir)).filter((name) => !before.includes(name));
    expect(files).toMatchObject({
      state: 'no',
      found: expect.stringContaining(`did not appear there. The file is ${left}.`),
    });
    noteFigure(`llama-server, another folder named: ${files?.found}`);

    await cwm.createSession({ id: 'elsewhere', engine });
    await cwm.send({ session: 'elsewhere', text: prose('elsewhere', 120), maxTokens: 8 }, never);
    await cwm.freeze({ session: 'elsewhere', window: 'elsewhere' }, never);
    expect(await cwm.thaw({ window: 'elsewhere' }, never)).toMatchObject({ verdict: 'reused' });
  } finally {
    await rm(other, { recursive: true, force: true });
  }
});

// Root may write into every folder, so one that is gone stands for one that is read-only.
test('Doctor says that a server which cannot write its slots keeps nothing over a restart', async () => {
  const other = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  try {
    await rm(slotDir, { recursive: true });
    const { persistence, files } = await findings(`${server.url}#slots=${other}`);
    noteFigure(`llama-server whose folder is gone: ${persistence?.found}`);
    expect(persistence).toMatchObject({ state: 'no', remedy: expect.stringContaining('may write to it') });
    expect(files?.state).toBe('no');
  } finally {
    await rm(other, { recursive: true, force: true });
  }
});
