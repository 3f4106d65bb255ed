import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, expect, test } from 'vitest';

import type { Core } from '../../../src/core/core.ts';
import { VllmEngine } from '../../../src/engines/vllm/vllmEngine.ts';
import { EngineProcess } from '../../embedded/support/engineProcess.ts';
import { coreOver } from '../llamaServer/coreOver.ts';
import { noteFigure } from './figures.ts';
import { gemmaModel } from './gemmaModel.ts';
import { liveProduct, prose } from './liveProduct.ts';
import { vllmModel } from './vllmModel.ts';
import { startVllm } from './vllmServer.ts';

const never = new AbortController().signal;
const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** Two branches with a long history in common: after a switch, at least the floor of what they share is reused. */
async function switchAndMeasure(cwm: Core, engine: string | undefined, label: string): Promise<void> {
  const maxTokens = 8;
  await cwm.createSession({ id: 's', ...(engine !== undefined && { engine }) });
  await cwm.send({ session: 's', text: prose(label, 160), maxTokens }, never);
  const { items: messages } = await cwm.listMessages({ session: 's' });
  await cwm.send({ session: 's', text: prose('one way', 30), maxTokens }, never);
  await cwm.createBranch({ session: 's', name: 'other', at: messages[1]!.id }, never);
  const first = await cwm.send({ session: 's', text: prose('the other way', 30), maxTokens }, never);
  const { items } = await cwm.listBranches({ session: 's' }, never);
  await cwm.updateBranch({ session: 's', branch: 'main' }, never);
  const back = await cwm.send({ session: 's', text: 'And then?', maxTokens }, never);
  const { sharedTokens = 0, sharedBlocks } = items.find(({ name }) => name === 'main') ?? {};
  noteFigure(
    `${label}: branches share ${sharedTokens} tokens, ${sharedBlocks} blocks; reused ${first.cachedTokens} of ${first.promptTokens} on the new branch, ${back.cachedTokens} of ${back.promptTokens} after the switch back`,
  );
  const blockTokens = Math.floor(sharedTokens / (sharedBlocks || 1));
  const floor = Math.floor(messages[1]!.context!.count / blockTokens) * blockTokens;
  expect(sharedTokens).toBeGreaterThan(150);
  expect(first.cachedTokens).toBeGreaterThanOrEqual(Math.min(floor, (sharedBlocks ?? 0) * blockTokens) - blockTokens);
  expect(back.cachedTokens).toBeGreaterThanOrEqual((sharedBlocks ?? 0) * blockTokens - blockTokens);
}

test('S4-02 a switch of branches reuses what they share, on the embedded engine with a real model', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cwm-branches-'));
  cleanUps.push(() => rm(folder, { recursive: true, force: true }));
  const server = await EngineProcess.start(join(folder, 'kv'), '--model', gemmaModel(), '--context', '4096');
  cleanUps.push(() => server.kill());
  const engine = new VllmEngine({ spec: 'embedded', connect: async () => ({ url: server.url }), persistPatienceMs: 0 });
  cleanUps.push(() => engine.close());
  const core = await coreOver(engine);
  cleanUps.push(() => core.dispose());
  await switchAndMeasure(core.cwm, undefined, 'gemma');
}, 180_000);

test('S4-02 a switch of branches reuses what they share, on vLLM', async () => {
  const model = await vllmModel('tiny', { signal: never, log: (line) => console.log(line) });
  const folder = await mkdtemp(join(tmpdir(), 'cwm-branches-'));
  cleanUps.push(() => rm(folder, { recursive: true, force: true }));
  const server = await startVllm({ model, connector: 'tiered', kvDir: join(folder, 'kv') }, never);
  cleanUps.push(() => server.stop());
  const product = await liveProduct();
  cleanUps.push(async () => product[Symbol.asyncDispose]());
  await switchAndMeasure(product.cwm, server.url, 'vllm');
}, 400_000);
