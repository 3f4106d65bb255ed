import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { SavingCosts } from '../../src/core/windows/checkpoints/checkpointPolicy.ts';
import { LoadRates } from '../../src/core/windows/checkpoints/loadRates.ts';
import { LlamaServerEngine } from '../../src/engines/llamaServer/llamaServerEngine.ts';
import { Recogniser } from '../../src/gateway/recognition/recogniser.ts';
import type { Isolation } from '../../src/protocol/settings/sessionChoices.ts';
import { CwmError } from '../../src/protocol/errors.ts';
import { diskFiles } from '../../src/store/disk/files.ts';
import { FakeLlamaServer } from '../fakes/fakeLlamaServer.ts';
import { gatewayFixture, type GatewayOver } from './gatewayFixture.ts';

const user = (content: string): object => ({ role: 'user', content });
const assistant = (content: string): object => ({ role: 'assistant', content });
const system = { role: 'system', content: 'You are terse. '.repeat(20) };

interface OnePlaceOptions {
  readonly volatileRestMs?: number;
  readonly isolation?: Isolation;
  readonly slots?: number;
  readonly more?: GatewayOver;
}

/** The gateway in front of a llama-server. @param volatileRestMs rest before a checkpoint. @param slots default: 1. */
async function onePlace({ volatileRestMs = 1, isolation = 'project', slots = 1, more = {} }: OnePlaceOptions = {}) {
  const slotDir = mkdtempSync(path.join(tmpdir(), 'cwm-slots-'));
  const fake = await FakeLlamaServer.start({ slotDir, slots });
  const engine = new LlamaServerEngine({ spec: fake.url, connect: async () => ({ url: fake.url }), slotDir });
  // Computing takes so long that saving always pays.
  const over = {
    stepMs: 10_000,
    engine,
    url: fake.url,
    isolation,
    checkpoints: { enabled: true, volatileRestMs },
    ...more,
  };
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
  return { ...gateway, llama: engine, fake, chat, saved, slotDir };
}

type OnePlace = Awaited<ReturnType<typeof onePlace>>;

/** Conversations that take turns, each of which grows with its answers. @param projectOf each; default: all are of one. */
function talking({ chat }: OnePlace, projectOf: (name: string) => string = () => 'demo') {
  const all = new Map<string, object[]>();
  return async (name: string) => {
    const messages = all.get(name) ?? [system];
    all.set(name, messages);
    messages.push(user(`${name} ${messages.length}?`));
    const answer = await chat(messages, projectOf(name));
    messages.push(assistant(answer.said));
    return answer;
  };
}

/** Of the requests since a moment, those that take the slot. */
const taking = ({ fake }: OnePlace, since: number): string[] =>
  fake
    .requestsTo('/')
    .slice(since)
    .map(({ path }) => path)
    .filter((path) => /action=(?!probe)|completion/.test(path));

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

  test('a server that was started again and does not say what it is leaves nothing of a request in memory', async () => {
    const place = await onePlace({ volatileRestMs: 600_000 });
    await place.chat([system, user('Say hi')]);
    await place.fake.restart();
    const [recognised, ended] = [vi.spyOn(Recogniser.prototype, 'recognise'), vi.spyOn(Recogniser.prototype, 'ended')];
    onTestFinished(() => [recognised, ended].forEach((spy) => spy.mockRestore()));
    vi.spyOn(place.llama, 'describe').mockRejectedValue(new CwmError('EngineFailed', 'It is loading its model.'));
    const { status } = await place.post('/p/demo/v1/chat/completions', { messages: [user('Who are you?')] });
    expect(status).toBeGreaterThanOrEqual(500);
    expect(recognised).toHaveBeenCalledOnce();
    expect(ended.mock.calls).toEqual(recognised.mock.results.map(({ value }) => [value]));
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

  test.each([1, 2])(
    'a conversation that is not stored yet stays itself where others had its slot, and is stored once (slots: %i)',
    async (slots) => {
      const limits = { sessions: { soft: 2, hard: 2 } };
      const place = await onePlace({ slots, volatileRestMs: 600_000, more: { limits } });
      const talk = talking(place, (name) => name);
      const ids = new Set<string>();
      for (const name of ['a', 'c', 'b', 'a', 'c', 'b', 'a', 'c', 'b']) {
        const { session } = await talk(name);
        if (name === 'b') ids.add(session);
      }
      expect(ids.size).toBe(1);
      expect(place.clients().items.flatMap(({ unrecorded }) => unrecorded)).toMatchObject([{ session: [...ids][0] }]);
      for (const { session } of await place.sessions()) await place.cwm.deleteSession({ session: session.id });
      await place.restart();
      expect((await place.sessions()).map(({ session, said }) => [session.id, said.length])).toEqual([
        [[...ids][0], 6],
      ]);
    },
  );

  test('what is missing of a session that was deleted is forgotten with it', async () => {
    const why: (string | null)[] = [null, null, 'many'];
    const place = await onePlace({ volatileRestMs: 600_000, more: { whyTooMany: () => why.shift() ?? null } });
    const talk = talking(place);
    const { session } = await talk('a');
    await talk('b');
    await talk('a');
    const missing = () => place.clients().items.flatMap(({ unrecorded }) => unrecorded);
    expect(missing()).toMatchObject([{ session }]);
    await place.cwm.deleteSession({ session });
    place.sessionChanged(session);
    await talk('a');
    expect(missing()).toEqual([]);
    expect((await place.sessions()).map(({ said }) => said.length).toSorted((one, other) => one - other)).toEqual([
      2, 6,
    ]);
  });

  test.each([
    [
      'damaged',
      (file: string) => writeFileSync(file, Buffer.from(readFileSync(file)).fill(7, 8)),
      'its slot file was damaged',
    ],
    ['missing', (file: string) => rmSync(file), 'its slot file was missing or could not be used'],
  ])('a slot file that is %s when the server comes back: what it cost is said, and counted', async (_, spoil, why) => {
    const { chat, saved, fake, slotDir, clients } = await onePlace();
    const messages = [system, user('Say hi')];
    const first = await chat(messages);
    await saved(first.session);
    expect(clients().items).toMatchObject([{ tokensAgain: 0 }]);
    for (const file of readdirSync(slotDir)) spoil(path.join(slotDir, file));
    await fake.restart();
    const again = await chat([...messages, assistant(first.said), user('And again')]);
    // Computed in the request, so that the prompt itself found it.
    expect(again.reused).toBeGreaterThan(first.of);
    const [, computed] = /^; KV from disk: (.*); (\d+) tokens computed again$/.exec(again.why) ?? [];
    expect(computed).toBe(why);
    const tokens = Number(/(\d+) tokens computed again/.exec(again.why)?.[1]);
    expect(tokens).toBeGreaterThanOrEqual(first.of);
    expect(clients().items).toMatchObject([{ tokensAgain: tokens }]);
    const third = await chat([
      ...messages,
      assistant(first.said),
      user('And again'),
      assistant(again.said),
      user('Bye'),
    ]);
    expect(third.why).toBe('');
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

  test.each([
    ['one project', () => 'demo'],
    ['two projects', (name: string) => name],
  ])(
    'a switch between conversations of %s asks the server only to write and to read, before the prompt',
    async (_, of) => {
      const place = await onePlace({ volatileRestMs: 600_000 });
      const talk = talking(place, of);
      await talk('red');
      // The first one, too.
      const first = place.fake.requestsTo('/').length;
      await talk('blue');
      expect(taking(place, first)).toEqual(['/slots/0?action=save', '/v1/chat/completions']);
      const since = place.fake.requestsTo('/').length;
      const before = await talk('red');
      expect(before.reused).toBeGreaterThan(0.8 * before.of);
      expect(taking(place, since)).toEqual([
        '/slots/0?action=save',
        '/slots/0?action=erase',
        '/slots/0?action=restore',
        '/v1/chat/completions',
      ]);
      // Beside its answer, the other one is recorded, so that the end of the server costs nothing of it.
      await place.saved(before.session);
      await place.fake.restart();
      const blue = await talk('blue');
      expect(blue.reused).toBeGreaterThan(0.8 * blue.of);
      // One file for each conversation, and none that nobody names.
      await place.cwm.settled();
      expect(readdirSync(place.slotDir)).toHaveLength(2);
    },
  );

  test('a server that is killed right after a switch costs the conversation that it had its last turns, and the other one nothing', async () => {
    const place = await onePlace({ volatileRestMs: 600_000 });
    const talk = talking(place);
    for (const name of ['red', 'blue', 'red', 'blue', 'red', 'blue']) await talk(name);
    await place.fake.restart();
    const blue = await talk('blue');
    expect(blue.why).toBe('');
    expect(blue.reused).toBeGreaterThan(0.6 * blue.of);
    const red = await talk('red');
    expect(red.reused).toBeGreaterThan(0.8 * red.of);
  });

  test('how long a switch reads is known afterwards, although no request measured it', async () => {
    const place = await onePlace({ volatileRestMs: 600_000 });
    const observed = vi.spyOn(LoadRates.prototype, 'observe');
    onTestFinished(() => observed.mockRestore());
    const talk = talking(place);
    for (const name of ['red', 'blue', 'red']) await talk(name);
    expect(observed).toHaveBeenCalledOnce();
    expect(observed.mock.calls[0]?.[1].ms).toBeGreaterThan(0);
  });

  test('a switch after a rest saves nothing, since the rest did', async () => {
    const place = await onePlace({ volatileRestMs: 1 });
    const talk = talking(place);
    for (const name of ['red', 'blue']) await place.saved((await talk(name)).session);
    await place.cwm.settled();
    const since = place.fake.requestsTo('/').length;
    await talk('red');
    expect(taking(place, since)).not.toContain('/slots/0?action=save');
  });

  test.each([
    ['another program had the slot meanwhile', { likeStrangersBeforeSave: 1 }, 1],
    ['the server cannot write', { save: 'fails' }, 1],
    ['the server wrote nothing', { save: 'writes-nothing' }, 1],
  ] as const)('what is no checkpoint leaves no file and costs no answer: %s', async (_, faults, files) => {
    const place = await onePlace({ volatileRestMs: 600_000 });
    const talk = talking(place);
    for (const name of ['red', 'blue', 'red']) await talk(name);
    await place.cwm.settled();
    Object.assign(place.fake.faults, faults);
    expect((await talk('blue')).said).not.toBe('');
    await place.cwm.settled();
    Object.assign(place.fake.faults, { save: 'works', likeStrangersBeforeSave: 0 });
    expect(readdirSync(place.slotDir).filter((name) => name.startsWith('cwm-0000000000000000'))).toEqual([]);
    expect(readdirSync(place.slotDir).length).toBeGreaterThanOrEqual(files);
    expect((await talk('red')).said).not.toBe('');
  });

  test('S0-16 a conversation whose checkpoint would come too soon is written at rest as the server has it', async () => {
    const place = await onePlace();
    const { store, fake } = place;
    const talk = talking(place);
    const { session } = await talk('red');
    await place.saved(session);
    await place.cwm.settled();
    const before = fake.requestsTo('/').length;
    // A whole checkpoint is not due then, and the server's writing alone is.
    const costs = vi.spyOn(SavingCosts.prototype, 'expectedMs').mockReturnValueOnce(Infinity).mockReturnValueOnce(0);
    onTestFinished(() => costs.mockRestore());
    const { of } = await talk('red');
    const saved = async () => (await store.checkpoints.get(session as never))?.kv;
    await expect.poll(saved).toMatchObject({ canary: null });
    expect(taking(place, before).slice(-2)).toEqual(['/v1/chat/completions', '/slots/0?action=save']);
    await fake.restart();
    expect((await talk('red')).reused).toBeGreaterThan(of);
  });

  test('a file that changed since the conversation left is not believed', async () => {
    const place = await onePlace({ volatileRestMs: 600_000 });
    const talk = talking(place);
    for (const name of ['red', 'blue', 'red', 'blue']) await talk(name);
    await place.cwm.settled();
    for (const name of readdirSync(place.slotDir)) {
      const file = path.join(place.slotDir, name);
      const bytes = readFileSync(file);
      bytes[bytes.length - 5] = (bytes[bytes.length - 5] ?? 0) ^ 1;
      writeFileSync(file, bytes);
    }
    const since = place.fake.requestsTo('/').length;
    expect((await talk('red')).said).not.toBe('');
    // The other one is saved; then it is computed again before anything is read back.
    expect(taking(place, since)[1]).toBe('/completion');
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

/** Conversations whose prompts have nothing in common. */
function strangers(place: OnePlace) {
  const all = new Map<string, object[]>();
  return async (name: string) => {
    const messages = all.get(name) ?? [{ role: 'system', content: `I am ${name}. `.repeat(20) }];
    all.set(name, messages);
    messages.push(user(`${name} ${messages.length}?`));
    const answer = await place.chat(messages);
    messages.push(assistant(answer.said));
    return { ...answer, share: answer.reused / answer.of };
  };
}

const restored = ({ fake }: OnePlace): number =>
  fake.requestsTo('/slots/').filter(({ path }) => path.endsWith('action=restore')).length;

describe('a model server with several slots', () => {
  test('keeps as many conversations as it has slots, and none of them is read back', async () => {
    const place = await onePlace({ slots: 2, volatileRestMs: 600_000 });
    const talk = strangers(place);
    for (const name of ['red', 'blue']) await talk(name);
    for (const name of ['red', 'blue', 'blue', 'red']) expect((await talk(name)).share).toBeGreaterThan(0.8);
    expect(restored(place)).toBe(0);
  });

  test('a conversation that the others pushed out is brought back before its prompt is sent', async () => {
    const place = await onePlace({ slots: 2, volatileRestMs: 600_000 });
    const talk = strangers(place);
    for (const name of ['red', 'blue', 'green']) await talk(name);
    for (const name of ['red', 'blue', 'green', 'red']) expect((await talk(name)).share).toBeGreaterThan(0.8);
    expect(restored(place)).toBe(4);
  });

  test('each conversation is saved once it rests, in the slot that has it, and the end of the server costs only what came later', async () => {
    const place = await onePlace({ slots: 3 });
    const talk = strangers(place);
    const names = ['red', 'blue', 'green'];
    for (const name of names) await place.saved((await talk(name)).session);
    await place.cwm.settled();
    // Of what a checkpoint asks, nothing but the last token is computed.
    for (const { body } of place.fake.requestsTo('/completion')) expect(body).toMatchObject({ cache_prompt: true });
    expect(Math.min(...place.fake.held.map(({ length }) => length))).toBeGreaterThan(200);
    await place.fake.restart();
    for (const name of names) expect(await talk(name)).toMatchObject({ share: expect.closeTo(0.95, 1), why: '' });
  });

  test.each([1, 2, 3])(
    'an auxiliary request costs the conversation that it is about nothing (%i slots)',
    async (slots) => {
      const place = await onePlace({ slots, volatileRestMs: 600_000 });
      const talk = strangers(place);
      for (const name of ['blue', 'red']) await talk(name);
      const before = restored(place);
      // As OpenCode asks.
      const asTitles = { role: 'system', content: 'You are a title generator. You output only a title. '.repeat(10) };
      const title = { messages: [asTitles, user('Generate a title for this conversation: red 1?')], max_tokens: 8 };
      const { status, headers } = await place.post('/p/demo/v1/chat/completions', title);
      expect([status, headers.get('x-cwm-recorded')]).toEqual([200, 'no']);
      expect((await talk('red')).share).toBeGreaterThan(0.8);
      // Only where there is no other slot, it has to leave.
      expect(restored(place) - before).toBe(slots === 1 ? 1 : 0);
      expect((await place.sessions()).length).toBe(2);
    },
  );

  test('that another program used meanwhile is noticed, and the conversation is brought back', async () => {
    const place = await onePlace({ slots: 2 });
    const talk = strangers(place);
    await place.saved((await talk('red')).session);
    await place.cwm.settled();
    const slot = place.fake.held.findIndex((ids) => ids.length > 0);
    const others = Array.from({ length: 200 }, (_, at) => at % 250);
    // The first look after the checkpoint says what is in the slot.
    await place.saved((await talk('blue')).session);
    await place.cwm.settled();
    place.fake.strangerAsks(slot, others);
    const before = restored(place);
    expect((await talk('red')).share).toBeGreaterThan(0.8);
    expect(restored(place)).toBe(before + 1);
  });

  test('that empties what is at rest for each request loses no conversation, and its end costs each its last turn at most', async () => {
    const place = await onePlace({ slots: 2, volatileRestMs: 600_000 });
    place.fake.faults.clearsIdle = true;
    const talk = strangers(place);
    for (const name of ['red', 'blue', 'green']) await talk(name);
    for (const name of ['red', 'blue', 'green', 'red']) expect((await talk(name)).share).toBeGreaterThan(0.8);
    await place.cwm.settled();
    await place.fake.restart();
    for (const name of ['red', 'blue', 'green']) expect((await talk(name)).share).toBeGreaterThan(0.6);
  });

  test.each([2, 1])('that came back with fewer slots (%i) is asked as before', async (slots) => {
    const place = await onePlace({ slots: 3 });
    const talk = strangers(place);
    const names = ['red', 'blue', 'green'];
    for (const name of names) await place.saved((await talk(name)).session);
    await place.cwm.settled();
    await place.fake.restart({}, slots);
    for (const name of names.toReversed()) expect((await talk(name)).share).toBeGreaterThan(0.8);
  });

  test.each([false, true])(
    'has every conversation of those that come at the same time in a slot that is known (started again: %s)',
    async (isAgain) => {
      const place = await onePlace({ slots: 3 });
      const talk = strangers(place);
      const names = ['red', 'blue', 'green'];
      if (isAgain) {
        for (const name of names) await place.saved((await talk(name)).session);
        await place.cwm.settled();
        await place.fake.restart();
      }
      const answers = await Promise.all(names.map(talk));
      const slots = answers.map(({ session }) => place.cwm.outside.slotOf(place.llama.spec, session as never));
      expect(new Set(slots)).toEqual(new Set([0, 1, 2]));
      for (const name of names) expect((await talk(name)).share).toBeGreaterThan(0.8);
    },
  );

  test('computes a conversation in the slot that the gateway chose, whatever the client asks for', async () => {
    const place = await onePlace({ slots: 2, volatileRestMs: 600_000 });
    const asked = { model: 'm', stream: true, id_slot: -1, messages: [user('Red?')] };
    const answer = await place.post('/p/demo/v1/chat/completions', asked);
    expect(await answer.text()).toContain('[DONE]');
    const { body } = place.fake.requestsTo('/v1/chat/completions').at(-1) ?? {};
    expect([0, 1]).toContain((body as { id_slot?: number }).id_slot);
  });

  test('leaves the extension the slot that it took for its own session', async () => {
    const place = await onePlace({ slots: 2 });
    const talk = strangers(place);
    const sessions: string[] = [];
    for (const name of ['red', 'blue']) {
      const { session } = await talk(name);
      await place.saved(session);
      sessions.push(session);
    }
    await place.cwm.settled();
    const { signal } = new AbortController();
    const ids = Array.from({ length: 100 }, (_, at) => at % 200);
    await place.llama.measure({ ids, salt: 'own', handle: null }, signal);
    const own = (await place.llama.slots(signal))?.find(({ isOwn }) => isOwn)?.slot;
    for (const name of ['blue', 'red']) {
      expect((await talk(name)).share).toBeGreaterThan(0.8);
      for (const id of sessions) expect(place.cwm.outside.slotOf(place.llama.spec, id as never)).not.toBe(own);
    }
  });

  test('gets nothing back into any slot for a client that left meanwhile', async () => {
    const place = await onePlace({ slots: 2 });
    const talk = strangers(place);
    const { session } = await talk('red');
    await place.saved(session);
    for (const name of ['blue', 'green']) await place.saved((await talk(name)).session);
    await place.cwm.settled();
    const leaving = new AbortController();
    const open = vi.spyOn(place.llama, 'describe').mockImplementationOnce(async (signal) => {
      leaving.abort(new CwmError('Cancelled', 'The client left.'));
      open.mockRestore();
      return place.llama.describe(signal);
    });
    const known = { spec: place.llama.spec, description: { kind: 'llama-server' } } as const;
    const before = restored(place);
    await expect(place.cwm.outside.makeReady(session as never, leaving.signal, { slot: 0, known })).rejects.toThrow(
      'The client left.',
    );
    await place.cwm.settled();
    expect(restored(place)).toBe(before);
    for (const name of ['blue', 'green']) expect((await talk(name)).share).toBeGreaterThan(0.8);
  });

  test('writes a conversation once for two requests, neither of which waits for the other one', async () => {
    const place = await onePlace({ slots: 2, volatileRestMs: 600_000 });
    await strangers(place)('red');
    const slot = place.fake.held.findIndex((ids) => ids.length > 0);
    const tokens = place.fake.held[slot]?.length ?? 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    const { signal } = new AbortController();
    const leave = (): Promise<boolean> =>
      place.cwm.outside.leavePlace(place.llama.spec, { tokens, stored: () => promise, slot }, signal);
    expect(await Promise.all([leave(), leave()])).toEqual([true, true]);
    expect(await leave()).toBe(true);
    expect(place.fake.requestsTo('/slots/').filter(({ path }) => path.endsWith('action=save'))).toHaveLength(1);
    resolve();
  });
});
