import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { LlamaServerEngine } from '../../src/engines/llamaServer/llamaServerEngine.ts';
import type { Isolation } from '../../src/protocol/settings/sessionChoices.ts';
import { diskFiles } from '../../src/store/disk/files.ts';
import { FakeLlamaServer } from '../fakes/fakeLlamaServer.ts';
import { gatewayFixture } from './gatewayFixture.ts';

const user = (content: string): object => ({ role: 'user', content });
const assistant = (content: string): object => ({ role: 'assistant', content });
const system = { role: 'system', content: 'You are terse. '.repeat(20) };

interface OnePlaceOptions {
  readonly volatileRestMs?: number;
  readonly isolation?: Isolation;
  /** Prompts that the server's own cache takes. Default 0: it has none. */
  readonly hostCacheEntries?: number;
}

/** The gateway in front of a llama-server with one slot. @param volatileRestMs rest before a checkpoint. */
async function onePlace({ volatileRestMs = 1, isolation = 'project', hostCacheEntries = 0 }: OnePlaceOptions = {}) {
  const slotDir = mkdtempSync(path.join(tmpdir(), 'cwm-slots-'));
  const fake = await FakeLlamaServer.start({ slotDir, slots: 1, faults: { hostCacheEntries } });
  const engine = new LlamaServerEngine({ spec: fake.url, connect: async () => ({ url: fake.url }), slotDir });
  // Computing takes so long that saving always pays.
  const over = { stepMs: 10_000, engine, url: fake.url, isolation, checkpoints: { enabled: true, volatileRestMs } };
  const gateway = await gatewayFixture(diskFiles, over);
  onTestFinished(async () => {
    await gateway.cwm.close();
    await engine.close();
    await fake.stop();
    rmSync(slotDir, { recursive: true, force: true });
  });
  const chat = async (messages: readonly object[], project = 'demo') => {
    const { text, answer } = await gateway.chat(messages, {}, `/p/${project}/v1`);
    const said = [...text.matchAll(/"content":"((?:[^"\\]|\\.)*)"/g)].map(
      ([, each]) => JSON.parse(`"${each}"`) as string,
    );
    const [, reused = '', of = '', why = ''] = /: cwm reused (\d+) of (\d+) prompt tokens(.*)/.exec(text) ?? [];
    const session = answer.headers.get('x-cwm-session') ?? '';
    return { said: said.join(''), reused: Number(reused), of: Number(of), why, session };
  };
  const saved = (session: string) =>
    expect.poll(async () => (await gateway.store.checkpoints.get(session as never)) !== null).toBe(true);
  return { ...gateway, fake, chat, saved };
}

describe('a model server with one slot', () => {
  test('a turn is saved soon after it, so that the end of the server costs only what came later', async () => {
    const { chat, saved, fake } = await onePlace();
    const messages = [system, user('Say hi')];
    const first = await chat(messages);
    await saved(first.session);
    await fake.restart();
    const again = await chat([...messages, assistant(first.said), user('And again')]);
    expect(again.reused).toBeGreaterThan(first.of);
    expect(again.why).toBe('');
  });

  test('a server that was started again with another model is asked what it is before its first answer is recorded', async () => {
    const place = await onePlace({ volatileRestMs: 600_000 });
    await place.chat([system, user('Say hi')]);
    await place.fake.restart({ model: 'another' });
    const { session } = await place.chat([user('Who are you?')]);
    expect((await place.sessions()).find((each) => each.session.id === session)?.session.model?.id).toBe('another');
  });

  test('what nothing was saved of is said to be lost with the server', async () => {
    const { chat, fake } = await onePlace({ volatileRestMs: 600_000 });
    const messages = [system, user('Say hi')];
    const first = await chat(messages);
    await fake.restart();
    const again = await chat([...messages, assistant(first.said), user('And again')]);
    expect(again.reused).toBe(0);
    expect(again.why).toMatch(/^; KV from disk: No checkpoint of it was made; \d+ tokens computed again$/);
  });

  test('each conversation finds its own KV again when another one had the slot', async () => {
    const { chat, fake } = await onePlace({ volatileRestMs: 600_000 });
    const red = [system, user('Red?')];
    const blue = [system, user('Blue?')];
    const one = await chat(red);
    const two = await chat(blue, 'other');
    // Another project finds nothing of the system prompt that both have.
    expect(two.reused).toBe(0);
    red.push(assistant(one.said), user('Why?'));
    blue.push(assistant(two.said), user('Why?'));
    expect((await chat(red)).reused).toBeGreaterThan(one.of);
    expect((await chat(blue, 'other')).reused).toBeGreaterThan(two.of);
    expect(fake.requestsTo('/slots/0?action=restore').length).toBeGreaterThanOrEqual(2);
  });

  test('what a project has computed is there for its next conversation, and none for whom nothing is shared', async () => {
    const project = await onePlace({ volatileRestMs: 600_000 });
    await project.chat([system, user('Red?')]);
    expect((await project.chat([system, user('Blue?')])).reused).toBeGreaterThan(250);
    const alone = await onePlace({ volatileRestMs: 600_000, isolation: 'conversation' });
    await alone.chat([system, user('Red?')]);
    expect((await alone.chat([system, user('Blue?')])).reused).toBe(0);
    const all = await onePlace({ volatileRestMs: 600_000, isolation: 'off' });
    await all.chat([system, user('Red?')]);
    expect((await all.chat([system, user('Blue?')], 'other')).reused).toBeGreaterThan(250);
  });

  test('requests that come at the same time are all answered, and none of their KV is lost', async () => {
    const { chat } = await onePlace({ volatileRestMs: 600_000 });
    const questions = ['Red?', 'Blue?', 'Green?'].map((each) => [system, user(each)]);
    const first = await Promise.all(questions.map((messages) => chat(messages)));
    const second = await Promise.all(
      questions.map((messages, at) => chat([...messages, assistant(first[at]?.said ?? ''), user('Why?')])),
    );
    for (const [at, { reused }] of second.entries()) expect(reused).toBeGreaterThan(first[at]?.of ?? 0);
  });
});

/** Two conversations of other system prompts, and what is asked of a server while they take turns. */
async function takingTurns(options: OnePlaceOptions) {
  const place = await onePlace({ volatileRestMs: 600_000, ...options });
  const talk = (name: string) => {
    const messages = [{ role: 'system', content: `You are ${name}. `.repeat(20) }, user(`I am ${name}`)];
    let had = 0;
    let session = '';
    return {
      session: () => session,
      /** @returns how much of what the server had seen of it was computed again, and what was said about that. */
      ask: async () => {
        const answer = await place.chat(messages);
        const again = had - answer.reused;
        [had, session] = [answer.of, answer.session];
        messages.push(assistant(answer.said), user('And then?'));
        return { again, why: answer.why };
      },
    };
  };
  const files = () =>
    ['save', 'restore'].flatMap((action) => place.fake.requestsTo(`/slots/0?action=${action}`)).length;
  return { ...place, talk, files };
}

describe("a model server with one slot and its own cache of prompts (N20: the server's own memory is no worse used)", () => {
  const hostCacheEntries = Infinity;

  test('a switch waits for no file once the server has shown that it brings conversations back by itself', async () => {
    const { talk, files } = await takingTurns({ hostCacheEntries });
    const [one, other] = [talk('red'), talk('blue')];
    // The first switch back saves and restores, and finds out.
    for (const each of [one, other, one]) await each.ask();
    const before = files();
    for (const each of [other, one, other, one]) expect((await each.ask()).again).toBeLessThanOrEqual(0);
    expect(files()).toBe(before);
  });

  test('a server without such a cache is tried once, and conversations come from their files as before', async () => {
    const { talk, files, fake } = await takingTurns({});
    const [one, other] = [talk('red'), talk('blue')];
    for (const each of [one, other]) await each.ask();
    const tried = fake.requestsTo('/completion').length;
    const before = files();
    for (const each of [one, other, one, other]) expect((await each.ask()).again).toBeLessThanOrEqual(0);
    expect(files()).toBeGreaterThanOrEqual(before + 4);
    // A save and a restore ask two or three times each; a trial would ask three times more.
    expect(fake.requestsTo('/completion').filter(({ body }) => isTrial(body)).length).toBe(3);
    expect(tried).toBeGreaterThan(0);
  });

  test('each one is on disk when the backend ends, also those that only the cache has', async () => {
    const { talk, cwm, files, store } = await takingTurns({ hostCacheEntries });
    const talks = [talk('red'), talk('blue')];
    for (let round = 0; round < 3; round++) for (const each of talks) await each.ask();
    const before = files();
    await cwm.close();
    expect(files()).toBeGreaterThanOrEqual(before + 2);
    for (const each of talks) {
      const id = each.session() as never;
      const [session, checkpoint] = [await store.sessions.get(id), await store.checkpoints.get(id)];
      expect(checkpoint?.manifest.tokens.sha256).toBe(session?.tokens?.sha256);
    }
  });

  test('a conversation that did not come back makes the gateway save and restore again, until another trial', async () => {
    const { talk, files, fake } = await takingTurns({ hostCacheEntries });
    const [one, other] = [talk('red'), talk('blue')];
    for (const each of [one, other, one, other, one, other]) await each.ask();
    const before = files();
    fake.faults.hostCacheEntries = 0;
    fake.strangerAsks(0, [1, 2, 3, 4]);
    expect((await one.ask()).again).toBeGreaterThan(0);
    for (const each of [other, one, other]) await each.ask();
    for (const each of [one, other]) expect((await each.ask()).again).toBeLessThanOrEqual(0);
    expect(files()).toBeGreaterThan(before);
  });

  test('conversations that begin alike are saved before the server builds one of them on the other', async () => {
    const { chat, fake } = await takingTurns({ hostCacheEntries });
    const begun = [
      [system, user('Red?')],
      [system, user('Blue?')],
      [{ role: 'system', content: 'Something else. '.repeat(20) }, user('Green?')],
    ];
    const had: number[] = [];
    for (let round = 0; round < 3; round++)
      for (const [at, messages] of begun.entries()) {
        const { said, of, reused } = await chat(messages);
        if (round > 0) expect(reused).toBeGreaterThanOrEqual(had[at] ?? 0);
        had[at] = of;
        messages.push(assistant(said), user('Why?'));
      }
    expect(fake.requestsTo('/slots/0?action=restore').length).toBeGreaterThan(0);
  });
});

/** A prompt of a few tokens, of which nobody asked anything. */
const isTrial = (body: unknown): boolean => {
  const { prompt } = body as { readonly prompt?: readonly number[] };
  return prompt !== undefined && prompt.length === 12;
};
