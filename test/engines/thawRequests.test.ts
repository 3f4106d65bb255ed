import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { Engine } from '../../src/core/ports/engine.ts';
import { EngineProcess } from '../embedded/support/engineProcess.ts';
import { restartableEngine } from '../embedded/support/restartableEngine.ts';
import { scratch, smallModel } from '../embedded/support/smallModel.ts';
import { coreOver } from './llamaServer/coreOver.ts';
import { makeRig as makeLlamaRig } from './llamaServer/rig.ts';
import { makeRig as makeVllmRig } from './vllm/rig.ts';

/*
 * The table of requests in docs/kv-evidence.md: each one is a round trip that a thaw takes, so that none may come to it unnoticed.
 */

interface Served {
  readonly engine: Engine;
  readonly restart: () => Promise<unknown>;
}

const vllm = async (options: Parameters<typeof makeVllmRig>[0]): Promise<Served> => {
  const rig = await makeVllmRig(options);
  return { engine: rig.engine, restart: () => rig.fake.restart() };
};
const llama = async (folder: 'reachable' | 'out of sight'): Promise<Served> => {
  // What was asked a moment ago is asked again when that is long ago, as on a busy machine.
  const rig = await makeLlamaRig({ folder, engine: { clock: { ...systemClock, elapsedMs: () => 0 } } });
  return { engine: rig.engine, restart: () => rig.fake.restart() };
};
async function embedded(): Promise<Served> {
  const folder = scratch();
  onTestFinished(() => folder[Symbol.dispose]());
  const kvDir = `${folder.path}/kv`;
  const flags = ['--model', smallModel(folder.path)];
  const { engine, restart } = await restartableEngine(() => EngineProcess.startWith({}, kvDir, ...flags));
  return { engine, restart };
}

/** The requests that are sent meanwhile, and how often each. */
async function requestsOf<T>(work: () => Promise<T>): Promise<{ result: T; requests: Record<string, number> }> {
  const requests: Record<string, number> = {};
  const note = (message: unknown): void => {
    const { method, path } = (message as { request: { method: string; path: string } }).request;
    const key = `${method} ${path.replace(/\?.*/, '')}`;
    requests[key] = (requests[key] ?? 0) + 1;
  };
  subscribe('undici:request:create', note);
  try {
    return { result: await work(), requests };
  } finally {
    unsubscribe('undici:request:create', note);
  }
}

const toVllm = { 'GET /v1/models': 1, 'GET /version': 1, 'GET /metrics': 2, 'POST /tokenize': 1 };
const toLlama = {
  'GET /v1/models': 1,
  'GET /props': 1,
  'GET /lora-adapters': 1,
  'GET /slots': 1,
  'POST /slots/1': 2,
  'POST /completion': 1,
  'POST /apply-template': 1,
  'POST /tokenize': 1,
};

/*
 * To the model: the frozen ids, and of vLLM without events a test with impossible reuse; out of sight three beginnings more. Counters are read
 * once after each of them but the test; those before it are the last ones.
 */
test.each([
  ['vLLM, files in sight', () => vllm({ tier: {} }), { ...toVllm, 'POST /v1/completions': 2 }],
  [
    'vLLM, files out of sight',
    () => vllm({ tier: {}, engine: { blockFiles: undefined } }),
    { ...toVllm, 'GET /metrics': 5, 'POST /v1/completions': 5 },
  ],
  ['vLLM, with block events', () => vllm({ tier: {}, events: true }), { ...toVllm, 'POST /v1/completions': 1 }],
  ['llama-server, #slots=', () => llama('reachable'), toLlama],
  ['llama-server, files out of sight', () => llama('out of sight'), toLlama],
  ['the embedded engine', embedded, { ...toVllm, 'POST /v1/completions': 1 }],
] as const)('a thaw sends these requests, before and after a restart of the server: %s', async (_, start, expected) => {
  const { engine, restart } = await start();
  const core = await coreOver(engine);
  onTestFinished(() => core.dispose());
  await core.keep();
  await core.thaw();
  expect((await requestsOf(() => core.thaw())).requests).toEqual(expected);
  await restart();
  const { result, requests } = await requestsOf(() => core.thaw());
  expect(result.verdict).toMatch(/^(proven|reused)$/);
  expect(requests).toEqual(expected);
});
