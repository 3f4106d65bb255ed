import { cpSync, mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import { projectUriOfFolder } from '../../../src/client/projectUri.ts';
import type { BackendClient } from '../../../src/client/backendClient.ts';
import { killHard, readRecord, realBackends } from '../../client/support/realBackends.ts';
import { noteFigure } from './figures.ts';
import { prose } from './liveProduct.ts';
import { oneSlotServer } from './oneSlotServer.ts';
import { vllmModel } from './vllmModel.ts';
import { startVllm } from './vllmServer.ts';

const never = new AbortController().signal;
const source = join(import.meta.dirname, '..', '..', '..', 'src');
/** The best of a few is what the server takes on a machine that does other things as well. */
const sessions = 3;
const baseTokens = 8192;

const { makeStorage, client } = realBackends();

/** A folder with files of this repository, which is more than fits into the base. */
async function projectOf(place: string, name: string): Promise<string> {
  const path = join(place, name);
  mkdirSync(path);
  for (const part of ['base', 'core']) cpSync(join(source, part), join(path, part), { recursive: true });
  return projectUriOfFolder(path);
}

interface Measured {
  readonly tokens: number;
  readonly computedMs: number;
  readonly firstTokenMs: number;
}

/** New sessions on the base, each of which must reuse it. @returns their first tokens, in milliseconds. */
async function newSessions(cwm: BackendClient, project: string, engine: string, tokens: number): Promise<number[]> {
  const times: number[] = [];
  for (let at = 0; at < sessions; at++) {
    const session = await cwm.call('createSession', { project, engine });
    expect(session.base).toBeDefined();
    const sent = await cwm.call('send', { session: session.id, text: `And then, ${at}?`, maxTokens: 1 });
    expect(sent.cachedTokens).toBeGreaterThanOrEqual(tokens - 256);
    times.push(sent.timeToFirstTokenMs ?? Number.NaN);
  }
  return times;
}

async function measure(cwm: BackendClient, project: string, engine: string): Promise<Measured> {
  // The first request after a start pays for the start.
  const first = await cwm.call('createSession', { engine });
  await cwm.call('send', { session: first.id, text: prose('first', 60), maxTokens: 2 });
  const made = await cwm.call('makeProjectBase', { project, paths: ['base', 'core'], maxTokens: baseTokens, engine });
  expect(made.receipt.verdict).toBe('proven');
  expect(made.cachedTokens).toBeLessThan(64);
  const { tokens } = made.base;
  const firstTokenMs = Math.min(...(await newSessions(cwm, project, engine, tokens)));
  return { tokens, computedMs: made.timeToFirstTokenMs ?? Number.NaN, firstTokenMs };
}

const figure = (engine: string, { tokens, computedMs, firstTokenMs }: Measured): string =>
  `New session on a base of ${tokens} tokens, ${engine}: first token after ${Math.round(firstTokenMs)} ms (the best of ${sessions}), the base itself after ${Math.round(computedMs)} ms (${Math.round(computedMs / firstTokenMs)} ×)`;

test("a new session on a project's base of 8,000 tokens, embedded and vLLM in one run: its first token comes from the base, also after a kill -9", async () => {
  const place = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  onTestFinished(() => rm(place, { recursive: true, force: true }));
  const kvDir = join(place, 'kv');
  mkdirSync(kvDir);
  const model = await vllmModel('mid', { signal: never });
  const start = { model, connector: 'tiered', kvDir, maxModelLen: 9216 } as const;
  const storage = makeStorage();
  const cwm = client(storage);
  const embedded = await projectOf(place, 'embedded');
  noteFigure(figure('embedded', await measure(cwm, embedded, 'embedded')));
  let server = await startVllm(start, never);
  onTestFinished(() => server.stop());
  const { port } = new URL(server.url);
  const engine = `${server.url}#tier=${encodeURI(kvDir)}`;
  const project = await projectOf(place, 'vllm');
  const measured = await measure(cwm, project, engine);
  noteFigure(figure('vLLM with 12 layers', measured));

  await Promise.all([server.kill(), killHard(readRecord(storage).pid)]);
  server = await startVllm({ ...start, port: Number(port) }, never);
  await newSessions(client(storage), project, engine, measured.tokens);
});

test('on a llama-server with one slot, the base is restored from its slot file before the first turn: where another conversation was there since, and after a kill -9', async () => {
  const server = await oneSlotServer();
  const { engine } = server;
  const storage = makeStorage();
  const project = await projectOf(makeStorage(), 'llama');
  const measured = await measure(client(storage), project, engine);
  noteFigure(figure('llama-server with one slot, a tiny model', measured));
  const another = async (cwm: BackendClient): Promise<void> => {
    const { id } = await cwm.call('createSession', { engine });
    await cwm.call('send', { session: id, text: prose(id, 60), maxTokens: 2 });
  };
  await another(client(storage));
  await newSessions(client(storage), project, engine, measured.tokens);
  await Promise.all([server.kill(), killHard(readRecord(storage).pid)]);
  await server.startAgain();
  await newSessions(client(storage), project, engine, measured.tokens);
});
