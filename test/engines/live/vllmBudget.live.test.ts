import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import { killHard, readRecord, realBackends, realStart } from '../../client/support/realBackends.ts';
import { eventually } from '../../support/eventually.ts';
import { noteFigure } from './figures.ts';
import { blockFiles } from './fsTier.ts';
import { prose, seen } from './liveProduct.ts';
import { vllmModel } from './vllmModel.ts';
import { startVllm } from './vllmServer.ts';

const never = new AbortController().signal;
const { makeStorage, client } = realBackends();

test('S0-50 the KV budget takes files of its tier from under a real vLLM that runs: nothing fails, and answers stay right, also after a kill -9', async () => {
  const kvDir = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  onTestFinished(() => rm(kvDir, { recursive: true, force: true }));
  const start = { model: await vllmModel('tiny', { signal: never }), connector: 'tiered', kvDir } as const;
  let server = await startVllm(start, never);
  onTestFinished(() => server.stop());
  const engine = seen(server.url, kvDir);
  const storage = makeStorage();
  const project = 'file:///live';
  const onDisk = async (): Promise<number> => {
    const files = [...(await blockFiles(kvDir)).values()];
    const sizes = await Promise.all(files.map(async (file) => (await stat(file).catch(() => null))?.size ?? 0));
    return sizes.reduce((sum, size) => sum + size, 0);
  };
  const names = ['one', 'two', 'three'];
  let cwm = client(storage);
  const say = async (session: string, text: string): Promise<string> => {
    return (await cwm.call('send', { session, text, maxTokens: 8 })).text;
  };
  const keep = (session: string, window: string) => cwm.call('freeze', { session, window, checkpoint: true });
  const text = (session: string): string => prose(session === 'control' ? 'one' : session, 400);
  const first = new Map<string, string>();
  for (const session of ['control', ...names]) {
    await cwm.call('createSession', { id: session, project, engine });
    first.set(session, await say(session, text(session)));
  }
  expect(first.get('one')).toBe(first.get('control'));
  for (const session of names) expect((await keep(session, `${session}-1`)).verdict).toBe('proven');
  const before = await onDisk();
  const held = async (): Promise<number> => {
    const { projects } = await cwm.call('usage', {});
    return projects?.find((row) => row.project === project)?.elsewhereBytes ?? Number.NaN;
  };
  const heldBefore = await held();
  expect(heldBefore).toBeGreaterThan(0);

  // A smaller budget, of all engines, takes from the windows that were not used for longest: all of the first, and some of the second.
  await killHard(readRecord(storage).pid);
  const budgetBytes = Math.round(heldBefore * 0.45);
  cwm = client(storage, { start: { ...realStart, args: ['--kv-budget-gb', String(budgetBytes / 1e9)] } });
  await say('three', 'And what else?');
  await eventually(async () => expect(await held()).toBeLessThanOrEqual(budgetBytes));
  const after = await onDisk();
  expect(after).toBeLessThan(before);

  // What vLLM has in its memory still, it answers from; what it has not, it computes.
  const warm = await cwm.call('thaw', { window: 'one-1' });
  expect(warm.verdict).toBe('reused');
  const again = await keep('one', 'one-2');
  noteFigure(
    `A budget of ${budgetBytes} bytes took ${before - after} of ${before} bytes of a running vLLM's tier. The window that lost files: thawed ${warm.verdict} (${warm.cachedTokens} of ${warm.floorTokens} tokens), kept again ${again.verdict}, ${again.content?.blocksMissing} files missing: ${again.notes.join(' ')}`,
  );
  // What it has in memory it writes no second time; computed again under the next salt, it comes to the disk.
  expect(again.content.blocksMissing).toBeGreaterThan(0);
  const anew = await cwm.call('freeze', { session: 'one', window: 'one-3', checkpoint: true, recompute: true });
  expect(anew).toMatchObject({ verdict: 'proven', tier: 'disk', content: { blocksMissing: 0 } });
  await Promise.all([server.kill(), killHard(readRecord(storage).pid)]);
  const { port } = new URL(server.url);
  server = await startVllm({ ...start, port: Number(port) }, never);
  expect((await cwm.call('thaw', { window: 'one-3' })).verdict).toBe('proven');
  expect(['partial', 'rebuilt']).toContain((await cwm.call('thaw', { window: 'two-1' })).verdict);
  expect(await say('one', 'And now?')).toBe(await say('control', 'And now?'));
});
