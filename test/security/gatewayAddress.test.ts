import { expect, test } from 'vitest';
import { wholeBackends } from './support/wholeBackend.ts';

const start = wholeBackends();

test('the next backend listens where the clients of the gateway look for it, as long as there are any', async () => {
  const first = await start({ port: 0 });
  const { storage, engine } = first;
  const { url } = await first.client.call('putGatewayClient', { name: 'codex' });
  await first.stop();
  const second = await start({ storage, engine });
  expect(second.backend.record.http).toBe(url);
  await second.client.call('deleteGatewayClient', { name: 'codex' });
  await second.stop();
  expect((await start({ storage, engine })).backend.record.http).toBeUndefined();
});

test('the gateway opens once while the backend runs, and the next backend listens there once a client is set up', async () => {
  const first = await start();
  const { storage, engine } = first;
  const [{ url }, again] = await Promise.all([
    first.client.call('openGateway', {}),
    first.client.call('openGateway', {}),
  ]);
  expect(again.url).toBe(url);
  expect((await fetch(`${url}/`)).status).toBe(200);
  expect((await first.client.call('gatewayClients', {})).url).toBe(url);
  await first.client.call('putGatewayClient', { name: 'codex' });
  await first.stop();
  expect((await start({ storage, engine })).backend.record.http).toBe(url);
});

test('a port that another program has is an error that names it, and the backend serves its socket all the same', async () => {
  const other = await start({ port: 0 });
  const taken = new URL(other.backend.record.http ?? '').port;
  const { client } = await start({ gatewayPort: Number(taken) });
  await expect(client.call('openGateway', {})).rejects.toThrow(taken);
  expect((await client.call('gatewayClients', {})).url).toBeNull();
});
