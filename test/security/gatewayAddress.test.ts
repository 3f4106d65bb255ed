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
