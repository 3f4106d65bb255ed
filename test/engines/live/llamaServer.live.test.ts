import { mkdir, mkdtemp, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import * as z from 'zod/mini';

import { fetchAlone } from './fetchAlone.ts';
import type { ModelServer } from './guardedServer.ts';
import { llamaModel } from './llamaModel.ts';
import { startLlamaServer } from './llamaServer.ts';

const answerSchema = z.object({ content: z.string(), timings: z.object({ cache_n: z.int(), prompt_n: z.int() }) });
const savedSchema = z.object({ n_saved: z.int(), n_written: z.int() });
const restoredSchema = z.object({ n_restored: z.int(), n_read: z.int() });

const interrupted = new AbortController();
const promptIds = Array.from({ length: 500 }, (_, index) => 300 + ((index * 37) % 500));
let modelPath: string;
let folder: string;
let slotDir: string;
let server: ModelServer;

beforeAll(async () => {
  modelPath = await llamaModel({ signal: interrupted.signal });
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  slotDir = join(folder, 'slots');
  await mkdir(slotDir);
  server = await startLlamaServer({ modelPath, slotDir }, interrupted.signal);
});
afterEach(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});
afterAll(() => interrupted.abort());

async function post(path: string, body: object): Promise<{ status: number; body: unknown }> {
  const response = await fetchAlone(server.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

const complete = async (maxTokens = 8): Promise<z.infer<typeof answerSchema>> =>
  answerSchema.parse(
    (
      await post('/completion', {
        prompt: promptIds,
        id_slot: 0,
        temperature: 0,
        n_predict: maxTokens,
        ignore_eos: true,
      })
    ).body,
  );
const slot = (action: 'save' | 'restore' | 'erase'): Promise<{ status: number; body: unknown }> =>
  post(`/slots/0?action=${action}`, { filename: 'window.bin' });

test('a saved slot comes back after kill -9: all but the last token is reused, and the answer is the same', async () => {
  const cold = await complete();
  expect(cold.timings).toMatchObject({ cache_n: 0, prompt_n: 500 });
  // Evaluates the prompt alone, so that the slot holds nothing else when it is saved.
  await complete(0);
  const saved = savedSchema.parse((await slot('save')).body);
  expect(saved).toMatchObject({ n_saved: 500, n_written: (await stat(join(slotDir, 'window.bin'))).size });

  await server.kill();
  server = await startLlamaServer({ modelPath, slotDir }, interrupted.signal);
  expect(restoredSchema.parse((await slot('restore')).body)).toEqual({ n_restored: 500, n_read: saved.n_written });
  const warm = await complete();
  expect(warm.timings).toMatchObject({ cache_n: 499, prompt_n: 1 });
  expect(warm.content).toBe(cold.content);
});

test('an erased slot is computed again', async () => {
  await complete();
  await slot('erase');
  expect((await complete()).timings).toMatchObject({ cache_n: 0, prompt_n: 500 });
});

test('a file that was cut short is refused, and the server continues', async () => {
  const cold = await complete();
  await slot('save');
  await truncate(join(slotDir, 'window.bin'), 1000);
  expect((await slot('restore')).status).toBe(400);
  expect((await complete()).content).toBe(cold.content);
});
