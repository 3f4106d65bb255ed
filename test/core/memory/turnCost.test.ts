import { expect, test } from 'vitest';
import { diskFiles, type Files } from '../../../src/store/disk/files.ts';
import type { Message } from '../../../src/protocol/schemas/session.ts';
import { aMessage, messageId, sessionId } from '../../store/builders.ts';
import { coreFixture, never } from '../coreFixture.ts';
import { countAtTheWire } from './wire.ts';

/** How often four turns of a session look at the messages that it had before: their number must not show. */
async function looksAtMessages(count: number): Promise<number> {
  const looks = { count: 0 };
  const watched = (message: Message): Message =>
    new Proxy(message, {
      get(target, key, receiver) {
        looks.count++;
        return Reflect.get(target, key, receiver) as unknown;
      },
    });
  const fixture = await coreFixture({}, undefined, (own) => {
    const { messages } = own.store;
    const load: typeof messages.load = async (session, ids) => (await messages.load(session, ids)).map(watched);
    const watching = new Proxy(messages, {
      get: (target, key) => (key === 'load' ? load : bound(target, key)),
    });
    return {
      ...own,
      store: new Proxy(own.store, { get: (target, key) => (key === 'messages' ? watching : bound(target, key)) }),
    };
  });
  const wire = countAtTheWire(fixture);
  const { cwm, store } = fixture;
  await cwm.createSession({ id: 's', memory: { enableVm: true } });
  const messages = Array.from({ length: count }, (_, at) => ({
    ...aMessage(`m${at + 1}`, at + 1, `Message ${at}: ${'words that say little '.repeat(3)}`),
    role: at % 2 === 0 ? ('user' as const) : ('assistant' as const),
  }));
  await store.messages.append(sessionId('s'), messages);
  const session = (await store.sessions.get(sessionId('s')))!;
  const main = { name: 'main', head: messageId(`m${count}`), length: count, parentMessageId: null };
  await store.sessions.update({ ...session, branches: { main }, version: session.version + 1 });
  const send = () => cwm.send({ session: 's', text: 'And so on.', maxTokens: 64 }, never());
  await send();
  const requests = wire.requests.length;
  looks.count = 0;
  for (let at = 0; at < 4; at++) expect((await send()).memory?.replaced).toBeUndefined();
  expect(wire.requests.length).toBe(requests + 4);
  return looks.count;
}

const bound = (target: object, key: string | symbol): unknown => {
  const value: unknown = Reflect.get(target, key);
  return typeof value === 'function' ? (value.bind(target) as unknown) : value;
};

test('a turn looks no more often at the messages of a long conversation than at those of a short one', async () => {
  const [short, long] = [await looksAtMessages(400), await looksAtMessages(1600)];
  expect(short).toBeGreaterThan(0);
  expect(long).toBeLessThanOrEqual(short * 1.5);
});

test('N5 a turn with virtual memory reads no record that it wrote, and looks at few files', async () => {
  const asked: string[] = [];
  const counted: Files = {
    ...diskFiles,
    stat: (path) => (asked.push('stat'), diskFiles.stat(path)),
    read: (path) => (
      asked.push(`read ${path.split('/').slice(-2)[0]}/${path.split('/').at(-1)}`),
      diskFiles.read(path)
    ),
  };
  const { cwm } = await coreFixture({}, counted);
  await cwm.createSession({ id: 's', memory: { enableVm: true } });
  const send = () => cwm.send({ session: 's', text: 'And so on.', maxTokens: 64 }, never());
  for (let at = 0; at < 3; at++) await send();
  asked.length = 0;
  await send();
  expect(asked.filter((each) => each === 'stat').length).toBeLessThanOrEqual(30);
  // Whether a message is there already, and whether a checkpoint is.
  const isExpected = (each: string): boolean => each.startsWith('read messages/') || each.endsWith('/checkpoint.json');
  expect(asked.filter((each) => each.startsWith('read ') && !isExpected(each))).toEqual([]);
});
