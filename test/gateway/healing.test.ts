import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { changedFields, elementsIn, fieldsIn, spliced } from '../../src/gateway/formats/spans.ts';
import { FirstSpellings, type SpellingId } from '../../src/gateway/passing/firstSpellings.ts';
import { answerKey, isExact, spellingKey } from '../../src/gateway/passing/spellingKey.ts';
import { scratchInMemory } from '../../src/gateway/recognition/scratchFile.ts';
import { ScratchIndex } from '../../src/gateway/recognition/scratchIndex.ts';
import { diskFiles } from '../../src/store/disk/files.ts';
import { fc } from '../support/fc.ts';
import { chunk, gatewayFixture, usageChunk } from './gatewayFixture.ts';

const user = (content: unknown): object => ({ role: 'user', content });
const system = (content: unknown): object => ({ role: 'system', content });
const assistant = (content: string): object => ({ role: 'assistant', content });

describe('where values stand in JSON', () => {
  test('texts with every kind of mark in them, numbers, blanks and lists in lists', () => {
    const text = ' { "a" : [1, "]\\"}\\\\" , {"b":[ ]} , -2e3,null ] , "\\u0063":{} , "d":"" } ';
    const fields = fieldsIn(text)!;
    const at = (key: string): string => text.slice(fields.get(key)!.start, fields.get(key)!.end);
    expect([...fields.keys()]).toEqual(['a', 'c', 'd']);
    expect([at('c'), at('d')]).toEqual(['{}', '""']);
    const parts = elementsIn(text, fields.get('a')!.start)!.map(({ start, end }) => text.slice(start, end));
    expect(parts).toEqual(['1', '"]\\"}\\\\"', '{"b":[ ]}', '-2e3', 'null']);
    expect(JSON.parse(spliced(text, [{ ...fields.get('a')!, by: '7' }]))).toEqual({ a: 7, c: {}, d: '' });
    expect([elementsIn('[]'), elementsIn('{}'), fieldsIn('[]')]).toEqual([[], null, null]);
  });
});

test('fields are left out and put in, and every other one keeps its bytes', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd', 'input');
  const object = fc.dictionary(key, fc.jsonValue());
  fc.assert(
    fc.property(object, fc.array(key), object, fc.constantFrom(0, 1, '\t'), (given, left, put, indent) => {
      const changed = changedFields(JSON.stringify(given, null, indent), left, put);
      const kept = Object.fromEntries(Object.entries(given).filter(([name]) => !new Set<string>(left).has(name)));
      expect(JSON.parse(changed)).toEqual({ ...kept, ...(JSON.parse(JSON.stringify(put)) as object) });
    }),
  );
  expect(changedFields('{"a":1.0,"b" : [ 2e1 ],"a":2, "c":"é"}', ['a'], { d: 1 })).toBe(
    '{"d":1,"b" : [ 2e1 ],"c":"é"}',
  );
});

describe('what are two spellings of one message', () => {
  const keyOf = (message: object): string => spellingKey(message, JSON.stringify(message));
  const calls = (...all: object[]): object => ({ role: 'assistant', content: null, tool_calls: all });
  const call = (written: unknown, more: object = {}): object =>
    calls({ id: 'c', type: 'function', function: { name: 'f', arguments: written }, ...more });

  test.each<[string, object, object]>([
    ['the name of a user', { ...user('Hi'), name: 'alice' }, { ...user('Hi'), name: 'bob' }],
    ['a call of the old kind', { function_call: { name: 'read' } }, { function_call: { name: 'delete' } }],
    [
      'the input of a call that is no function',
      calls({ id: 'c', type: 'custom', custom: { name: 'sh', input: 'ls' } }),
      calls({ id: 'c', type: 'custom', custom: { name: 'sh', input: 'rm' } }),
    ],
    ['a refusal', { ...assistant(''), refusal: 'No.' }, { ...assistant(''), refusal: 'Never.' }],
    ['a sound', { ...assistant(''), audio: { id: '1' } }, { ...assistant(''), audio: { id: '2' } }],
    ['a number of many digits', call('{"id":9007199254740992}'), call('{"id":9007199254740993}')],
    ['a number beyond all numbers', call('{"id":1e400}'), call('{"id":1e500}')],
    ['blanks at the end', user('x = '), user('x =\n\n')],
    ['who says it', { role: 'developer', content: 'Hi' }, system('Hi')],
    ['the reasoning', { ...assistant('Hi'), reasoning: 'a' }, { ...assistant('Hi'), reasoning: 'b' }],
    ['the id of a call', call('{}'), call('{}', { id: 'd' })],
    [
      'parts of a text',
      user([
        { type: 'text', text: 'a' },
        { type: 'text', text: 'b' },
      ]),
      user('a\nb'),
    ],
    ['a field of a part', user([{ type: 'text', text: 'a', lang: 'en' }]), user('a')],
  ])('%s makes another message', (_what, one, other) => {
    expect(keyOf(one)).not.toBe(keyOf(other));
  });

  test.each<[string, object, object]>([
    ['the order of keys', { role: 'user', content: 'Hi' }, { content: 'Hi', role: 'user' }],
    ['a list of one text', user([{ type: 'text', text: 'Hi', cache_control: {} }]), user('Hi')],
    ['blanks and order inside arguments', call('{"a": 1, "b":2}'), call('{"b":2,"a":1}')],
    ['a marker for caches', { ...user('Hi'), cache_control: { type: 'ephemeral' } }, user('Hi')],
  ])('%s makes no difference', (_what, one, other) => {
    expect(keyOf(one)).toBe(keyOf(other));
  });

  test('numbers that may have lost digits: then only the same bytes are the same', () => {
    const sent = ['{"role":"user","n":9007199254740992}', '{"role":"user","n":9007199254740993}'];
    const [one, other] = sent.map((raw) => spellingKey(JSON.parse(raw), raw));
    expect(one).not.toBe(other);
    expect([isExact({ a: [1, { b: 0.1 }] }), isExact([{ a: 1 }])]).toEqual([false, true]);
    const answer = (written: string) =>
      answerKey({ role: 'assistant', text: '', calls: [{ id: 'c', name: 'f', arguments: written }] });
    expect(answer('{"id":9007199254740992}')).not.toBe(answer('{"id":9007199254740993}'));
    expect(answer('{"id": 7}')).toBe(answer('{"id":7}'));
  });
});

const written = () => new Promise((resolve) => setImmediate(resolve));

test('a first spelling holds its own characters in memory, and not the request in which it came', () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const first = new FirstSpellings(new ScratchIndex(scratchInMemory()));
  gc();
  const before = process.memoryUsage().heapUsed;
  for (let turn = 0; turn < 40; turn++) {
    const body = JSON.stringify([turn, 'x'.repeat(1 << 20)]);
    first.put(`m${turn}` as SpellingId, { raw: body.slice(500, 1000), key: '' });
  }
  gc();
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(20 << 20);
  expect(first.of('m39' as SpellingId)?.raw).toHaveLength(500);
});

test('first spellings come back from the file: those of messages, and system prompts that do not fit in memory', async () => {
  const first = new FirstSpellings(new ScratchIndex(scratchInMemory()), undefined, 300);
  const ids = ['chat system of a', 'chat system of b', 'chat m in a', 'chat m in b'] as string[] as SpellingId[];
  for (const id of ids) first.put(id, { raw: `raw of ${id}`, key: 'k' });
  await written();
  expect(ids.map((id) => first.of(id)?.raw)).toEqual(ids.map((id) => `raw of ${id}`));
});

test('a file of first spellings that is too long begins again, and one that cannot be written costs nothing else', async () => {
  const file = scratchInMemory();
  const first = new FirstSpellings(new ScratchIndex(file), 200);
  const put = async (id: string): Promise<void> => {
    first.put(id as SpellingId, { raw: 'x'.repeat(100), key: '' });
    await written();
  };
  for (const id of ['m1', 'm2', 'm3']) await put(id);
  expect(['m1', 'm2', 'm3'].filter((id) => first.of(id as SpellingId))).toEqual(['m3']);
  file.write = () => {
    throw new Error('ENOSPC');
  };
  await put('m4');
  expect(['m3', 'm4'].filter((id) => first.of(id as SpellingId))).toEqual(['m3']);
});

describe('what means the same as before is sent as it was before', () => {
  const call = (written: string): object => ({
    id: 'call_1',
    type: 'function',
    function: { name: 'read', arguments: written },
  });
  const result = { role: 'tool', tool_call_id: 'call_1', content: 'Red.' };

  async function called(healing = { heals: true, pins: false }) {
    const gateway = await gatewayFixture(diskFiles, { healing });
    const usual = gateway.server.answer;
    gateway.server.answer = (_, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.write(chunk({ role: 'assistant', content: '', tool_calls: [{ index: 0, ...call('{"path": "a.txt"}') }] }));
      res.end('data: [DONE]\n\n');
    };
    await gateway.chat([user('Look.')]);
    gateway.server.answer = usual;
    return gateway;
  }
  const echo = (written: string): object[] => [
    user('Look.'),
    { role: 'assistant', content: null, tool_calls: [call(written)] },
    result,
  ];

  test('arguments of a call as the model wrote them, whatever the client makes of them', async () => {
    const gateway = await called();
    const { text } = await gateway.chat(echo('{"path":"a.txt"}'));
    expect(gateway.passed.at(-1)?.body['messages']).toEqual(echo('{"path": "a.txt"}'));
    expect(text).toContain('; 1 part sent as spelled first');
    await gateway.chat([...echo('{ "path":"a.txt" }'), assistant('Answer 1.'), user('Why?')]);
    expect(gateway.passed.at(-1)?.text).toContain(JSON.stringify(echo('{"path": "a.txt"}')).slice(1, -1));
  });

  test('another path, another id of a call and a client that wants it otherwise are left alone', async () => {
    const gateway = await called();
    await gateway.chat(echo('{"path":"b.txt"}'));
    expect(gateway.passed.at(-1)?.body['messages']).toEqual(echo('{"path":"b.txt"}'));
    const off = await called({ heals: false, pins: false });
    await off.chat(echo('{"path":"a.txt"}'));
    expect(off.passed.at(-1)?.body['messages']).toEqual(echo('{"path":"a.txt"}'));
  });

  test('parts and blanks of messages, and the order of keys in tools', async () => {
    const gateway = await gatewayFixture();
    const tool = (schema: object): object => ({ type: 'function', function: { name: 'read', parameters: schema } });
    const send = async (messages: object[], schema: object) => {
      const answer = await gateway.post('/v1/chat/completions', {
        model: 'm',
        stream: true,
        messages,
        tools: [tool(schema)],
      });
      await answer.text();
      await gateway.settled();
      return gateway.passed.at(-1)!.text.replace(/^.*?"model"/, '"model"');
    };
    const first = await send([system('Be terse.'), user('Say hi')], { type: 'object', required: ['a'] });
    const next = await send(
      [
        system([{ type: 'text', text: 'Be terse.' }]),
        user([{ type: 'text', text: 'Say hi' }]),
        assistant('Answer 1.'),
        user('Why?'),
      ],
      { required: ['a'], type: 'object' },
    );
    const beginning = first.slice(0, first.indexOf(']'));
    expect(next.slice(0, beginning.length)).toBe(beginning);
    expect(next.slice(next.indexOf('"tools"'))).toBe(first.slice(first.indexOf('"tools"')));
  });

  test('a message in front of an empty answer, which has no place of its own', async () => {
    const gateway = await gatewayFixture();
    await gateway.chat([user('Say hi')]);
    const parts = user([{ type: 'text', text: 'Say hi' }]);
    for (const empty of [assistant(''), { role: 'assistant', content: null }]) {
      await gateway.chat([parts, assistant('Answer 1.'), user('Why?'), empty, user('Well?')]);
      const why = user([{ type: 'text', text: 'Why?' }]);
      await gateway.chat([parts, assistant('Answer 1.'), why, empty, user('And?')]);
      const sent = [user('Say hi'), assistant('Answer 1.'), user('Why?'), empty, user('And?')];
      expect(gateway.passed.at(-1)?.body['messages']).toEqual(sent);
    }
  });

  test('the first system prompt, where that is asked for, also in the next process', async () => {
    const gateway = await gatewayFixture(diskFiles, { healing: { heals: true, pins: true } });
    const on = (date: string, more: object[] = []): object[] => [
      system(`Be terse. Today: ${date}`),
      user('Say hi'),
      ...more,
    ];
    await gateway.chat(on('Sat Nov 28'));
    const again = [assistant('Answer 1.'), user('And again')];
    const { text } = await gateway.chat(on('Sun Nov 29', again));
    expect(gateway.passed.at(-1)?.body['messages']).toEqual(on('Sat Nov 28', again));
    expect(text).toContain("; the conversation's first system prompt was sent");
    expect((await gateway.sessions())[0]?.session.settings?.systemPrompt?.text).toContain('Sat Nov 28');
    await gateway.restart();
    await gateway.chat(on('Mon Nov 30', [...again, assistant('Answer 2.'), user('Once more')]));
    expect(gateway.passed.at(-1)?.body['messages']).toMatchObject([
      system('Be terse. Today: Sat Nov 28'),
      {},
      {},
      {},
      {},
      {},
    ]);
  });

  test('a break is named with what it costs', async () => {
    const gateway = await gatewayFixture();
    gateway.server.answer = ({ text }, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.write(chunk({ content: 'Hm.' }));
      res.write(text.includes('Sun') ? usageChunk(9200, 100) : usageChunk(9198, 0));
      res.end('data: [DONE]\n\n');
    };
    await gateway.chat([system('Date: Sat'), user('Say hi')]);
    const { text } = await gateway.chat([system('Date: Sun'), user('Say hi'), assistant('Hm.'), user('Why?')]);
    expect(text).toContain(
      ': cwm reused 100 of 9200 prompt tokens; the system prompt changed at "Date: Sun"; 9,100 tokens computed again',
    );
    expect(gateway.clients().items[0]).toMatchObject({ tokensAgain: 9100, breaks: { system: 1 } });
  });
});
