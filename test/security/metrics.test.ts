import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { wholeBackends } from './support/wholeBackend.ts';

const start = wholeBackends();

test('S0-60 no figure names a session, a window, a text, a path, a model or a key', async () => {
  const { client, raw, storage, engine, backend } = await start({ engineKey: 'hunter2-the-key' });
  await client.call('createSession', { id: 'secretsession', project: 'file:///secretfolder', title: 'secrettitle' });
  await client.call('send', { session: 'secretsession', text: 'secrettext', maxTokens: 2 });
  await client.call('freeze', { session: 'secretsession', window: 'secretwindow', checkpoint: true });
  await client.call('getWindow', { window: 'secretother' }).catch(() => undefined);
  const headers = { authorization: `Bearer ${backend.record.token}` };
  const text = await raw({ method: 'GET', path: '/metrics', headers });
  expect(text.body).toMatch(/^cwm_operations_total\{operation="freeze",outcome="ok"\} 1$/m);
  expect(text.body).toMatch(/^cwm_turns_total\{/m);
  expect(text.body).toMatch(/^cwm_space_bytes\{tier="records"\} [1-9]/m);
  const json = JSON.stringify(await client.call('metrics', {}));
  for (const told of [text.body, json]) {
    expect(told).not.toMatch(/secret|hunter2/);
    for (const name of [storage, engine, new URL(engine).port, 'fake-model']) expect(told).not.toContain(name);
  }
});

test('S0-52 the turns of a store are those of all its backends', async () => {
  const first = await start();
  await first.client.call('createSession', { id: 's' });
  for (const text of ['One.', 'Two.']) await first.client.call('send', { session: 's', text, maxTokens: 2 });
  const { turns } = await first.client.call('metrics', {});
  expect(turns.hits + turns.misses + turns.unknown).toBe(2);
  await first.stop();
  const second = await start({ storage: first.storage, engine: first.engine });
  expect((await second.client.call('metrics', {})).turns).toEqual(turns);
  expect(await readFile(path.join(first.storage, 'metrics.json'), 'utf8')).not.toContain('One.');
});

test('S0-15 the backend says of each part how it is and how long it took, and whether it lives and is ready', async () => {
  const { client, engine } = await start();
  await client.call('createSession', { id: 's' });
  await client.call('send', { session: 's', text: 'One.', maxTokens: 2 });
  const { components = [] } = await client.call('health', { probe: true });
  expect(components.map(({ name, status }) => [name, status])).toEqual([
    ['store', 'healthy'],
    [engine, 'healthy'],
  ]);
  for (const { latencyMs } of components) expect(latencyMs).toBeGreaterThanOrEqual(0);
  expect(await client.call('live', {})).toEqual({ alive: true });
  expect(await client.call('ready', {})).toEqual({ ready: true });
});

test('S1-35 the tokens of a store are those of all its backends, by the client that asked, and cost what its table says', async () => {
  const first = await start({ kind: 'vscode' });
  await first.client.call('createSession', { id: 's', title: 'A talk' });
  await first.client.call('send', { session: 's', text: 'One.', maxTokens: 2 });
  const before = await first.client.call('tokenUsage', {});
  expect(before.total).toMatchObject({ requests: 1, uncounted: 0, cost: null });
  expect(before.unpriced).toEqual(before.items.map(({ name }) => name));
  await first.stop();
  const { storage, engine } = first;
  await writeFile(
    before.pricesFile,
    JSON.stringify({ currency: 'EUR', models: { [before.unpriced[0]!]: { input: 1, output: 3 } } }),
  );
  const { client } = await start({ storage, engine });
  await client.call('send', { session: 's', text: 'Two.', maxTokens: 2 });
  const { items, total, currency } = await client.call('tokenUsage', { by: 'source' });
  expect(items.map(({ name, requests }) => `${name} ${requests}`).sort()).toEqual(['cli 1', 'vscode 1']);
  expect(currency).toBe('EUR');
  expect(total.cost).toBeCloseTo((total.promptTokens! + 3 * total.outputTokens!) / 1e6, 12);
  expect((await client.call('tokenUsage', { by: 'session' })).items).toMatchObject([{ name: 's', title: 'A talk' }]);
  await client.call('deleteSession', { session: 's' });
  expect((await client.call('tokenUsage', { by: 'session' })).items).toMatchObject([{ requests: 2, title: null }]);
  expect(await readFile(path.join(storage, 'usage.jsonl'), 'utf8')).not.toMatch(/One\.|A talk/);
});
