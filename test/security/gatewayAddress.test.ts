import { expect, test } from 'vitest';
import { until } from '../support/until.ts';
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
  const page = await fetch(`${url}/`);
  expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
  expect(await page.text()).toMatch(
    /<code>\/v1<\/code>[^]*<code>\/p\/PROJECT\/v1<\/code>[^]*<code>cwm connect<\/code>/,
  );
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

test('V2 whoever changes a client, every editor hears of it: a new one, what it may do, and that it is gone', async () => {
  const { client } = await start({ port: 0 });
  const heard: unknown[] = [];
  client.onSignal(({ change }) => void heard.push(change));
  await client.call('putGatewayClient', { name: 'codex' });
  await client.call('putGatewayClient', { name: 'codex', records: false, rotate: false });
  await client.call('deleteGatewayClient', { name: 'codex' });
  const told = { type: 'client', client: 'codex' };
  await until(
    'three signals',
    () => heard.filter((change) => JSON.stringify(change) === JSON.stringify(told)).length === 3,
  );
});

test('a backend with clients of the gateway does not end by itself, although another program has their port', async () => {
  const other = await start({ port: 0 });
  const { port } = new URL(other.backend.record.http ?? '');
  const first = await start({ gatewayPort: 0 });
  const { storage, engine } = first;
  await first.client.call('openGateway', {});
  await first.client.call('putGatewayClient', { name: 'codex' });
  await first.stop();
  const { backend, client } = await start({ storage, engine, gatewayPort: Number(port), idleMs: 1 });
  expect(backend.record.http).toBeUndefined();
  // One without clients, which idles longer, ends in the meantime.
  await (
    await start({ idleMs: 50 })
  ).backend.stopped;
  expect((await client.call('gatewayClients', {})).items).toMatchObject([{ name: 'codex' }]);
});

test('S0-62 the rate that the user sets limits what is recorded of a client of the gateway, and no answer', async () => {
  const { client } = await start({ port: 0, gatewayRatePerMinute: 1 });
  const { url, token } = await client.call('putGatewayClient', { name: 'codex', rotate: true });
  const headers = { 'content-type': 'application/json', 'x-api-key': token ?? '' };
  const list = (await (await fetch(`${url}/v1/models`, { headers })).json()) as { readonly data: { id: string }[] };
  const recorded: (string | null)[] = [];
  let why: string | null = null;
  for (let number = 0; number < 12; number++) {
    const messages = [{ role: 'user', content: `Question ${number}` }];
    const answer = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ model: list.data[0]?.id, messages }),
    });
    expect(answer.status).toBe(200);
    recorded.push(answer.headers.get('x-cwm-recorded'));
    why = answer.headers.get('x-cwm-why');
  }
  // A burst of ten is allowed after a pause.
  expect(recorded).toEqual([...Array.from({ length: 10 }, () => 'yes'), 'no', 'no']);
  expect(why).toMatch(/limit of 1 requests a minute.*cwm\.limits\.gatewayRequestsPerMinute.*--gateway-rate-limit/);
});
