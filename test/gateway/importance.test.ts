import { describe, expect, test } from 'vitest';
import { gatewayFixture, type GatewayFixture } from './gatewayFixture.ts';
import { call, MemoryClient, user } from './memoryClient.ts';

const header = 'x-cwm-importance';

/** What the pages of the only session are worth, in order. */
async function importancesIn(gateway: GatewayFixture): Promise<number[]> {
  const [{ session } = { session: null }] = await gateway.sessions();
  return (await gateway.cwm.memoryState({ session: session!.id })).pages.map(({ importance }) => importance);
}

describe('what a client says that its last message is worth', () => {
  test('S1-22 counts for a model with memory, and the answer says so, streamed or not', async () => {
    for (const stream of [false, true]) {
      const client = new MemoryClient(await gatewayFixture());
      client.headers = { [header]: '0.95' };
      const answer = await client.post({ stream, messages: [user('The key is under the mat.')] });
      await answer.text();
      expect(answer.headers.get(header)).toBe('0.95');
      expect(await importancesIn(client.gateway)).toEqual([0.95, 0.5]);
    }
  });

  test("S1-22 is the user's last message also where the request ends with results of tools, and is recorded once", async () => {
    const client = new MemoryClient(await gatewayFixture());
    client.headers = { [header]: '1' };
    client.gateway.engine.toolCalls = [[call('1', 'weather', {})]];
    const { choices } = await client.ask(user('How is it?'));
    await client.ask({ role: 'tool', tool_call_id: choices[0]!.message.tool_calls![0]!.id, content: 'Fine.' });
    expect(await importancesIn(client.gateway)).toEqual([1, 0.5, 0.4, 0.5]);
    const [{ session } = { session: null }] = await client.gateway.sessions();
    const records = await client.gateway.store.memory.load(session!.id);
    expect(records.filter(({ type }) => type === 'mutation')).toMatchObject([{ what: 'update', importance: 1 }]);
  });

  test('S1-22 is recorded with a conversation whose prompts the client makes', async () => {
    const gateway = await gatewayFixture();
    const messages = [user('The key is under the mat.')];
    const answer = await gateway.post('/v1/chat/completions', { model: 'm', messages }, { [header]: '.9' });
    expect([answer.status, answer.headers.get(header)]).toEqual([200, '0.9']);
    expect(await importancesIn(gateway)).toEqual([0.9, 0.5]);
  });

  test.each(['lots', '1.1', '-0.5', '9e9', '0.5, 0.6', '0x1', 'NaN'])(
    'S1-22 "%s" is nonsense: it is ignored, and the answer says so',
    async (given) => {
      const client = new MemoryClient(await gatewayFixture());
      client.headers = { [header]: given };
      for (const model of ['m', 'm+memory']) {
        const answer = await client.post({ model, messages: [user('Hi')] });
        expect([answer.status, answer.headers.get(header)]).toEqual([200, 'ignored: it is no number from 0 to 1']);
      }
      for (const { session } of await client.gateway.sessions())
        expect(await client.gateway.store.memory.load(session.id)).not.toContainEqual(
          expect.objectContaining({ type: 'mutation' }),
        );
    },
  );

  test('S1-22 an answer that is not recorded says that it is ignored', async () => {
    const gateway = await gatewayFixture();
    const asked = { model: 'm', messages: [user('Hi')] };
    const answer = await gateway.post('/v1/chat/completions', asked, { [header]: '1', 'x-cwm-record': 'no' });
    expect(answer.headers.get(header)).toBe('ignored: the conversation is not recorded');
  });

  test('S1-22 the model server does not get it', async () => {
    const gateway = await gatewayFixture();
    await gateway.post('/v1/chat/completions', { model: 'm', messages: [user('Hi')] }, { [header]: '1' });
    expect(Object.keys(gateway.passed.at(-1)!.headers)).not.toContain(header);
  });
});
