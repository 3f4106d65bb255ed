import { getLlama, type Llama } from 'node-llama-cpp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { grammarOf, type TextRule } from '../../../src/embedded/worker/grammar.ts';
import { fc } from '../../support/fc.ts';

let llama: Llama;
beforeAll(async () => {
  llama = await getLlama({ gpu: false, build: 'never', progressLogs: false });
});
afterAll(() => llama.dispose());

/** Whether llama.cpp's own grammar takes the text as a whole. */
async function takes(rule: TextRule, text: string): Promise<boolean> {
  const grammar = await llama.createGrammar({ grammar: grammarOf(rule) });
  const { _testText: isTaken } = grammar as unknown as { _testText: (text: string) => boolean };
  return isTaken.call(grammar, text);
}

const file = {
  type: 'object',
  properties: { path: { type: 'string' }, head: { type: 'integer' }, tail: { type: 'integer' } },
  required: ['path'],
};

describe('a grammar of a JSON schema', () => {
  test.each<[string, object, readonly string[], readonly string[]]>([
    [
      'has the properties that must be there, and the others where the model wants them',
      file,
      ['{"path":"a"}', '{"path": "a", "tail": 3}', '{ "path":"a","head":1,"tail":-2 }', '{\n  "path": "a"\n}'],
      ['{}', '{"tail":3}', '{"path":"a","name":"b"}', '{"path":1}', '{"path":"a"', '{"path":"a",}', 'a'],
    ],
    [
      'has any of several properties where none must be there',
      { ...file, required: [] },
      ['{}', '{"tail":1}', '{"path":"a","tail":1}', '{"head":1,"tail":2}'],
      ['{,}', '{"tail":1,}', '{"other":1}'],
    ],
    [
      'has other properties where the schema speaks of them',
      { ...file, additionalProperties: { type: 'boolean' } },
      ['{"path":"a","x":true}', '{"path":"a","head":1,"x":true,"y":false}'],
      ['{"path":"a","x":1}'],
    ],
    ['an object without names has any', { type: 'object' }, ['{}', '{"a":[1,{"b":null}]}'], ['[]']],
    [
      'an object that must be empty is empty',
      { type: 'object', additionalProperties: false },
      ['{}', '{ }'],
      ['{"a":1}'],
    ],
    ['choices', { anyOf: [{ const: 1 }, { type: 'null' }] }, ['1', 'null'], ['2']],
    ['several types', { type: ['integer', 'null'] }, ['-7', 'null'], ['"7"', '1.5']],
    [
      'values, also with what a grammar has signs for',
      { enum: ['a"b\\', 'ü\n', 3] },
      [`"a\\"b\\\\"`, '"ü\\n"', '3'],
      ['"a"'],
    ],
    [
      'lists',
      { type: 'array', items: { type: 'number' }, minItems: 1, maxItems: 2 },
      ['[1]', '[1.5e3, -2]'],
      ['[]', '[1,2,3]', '["a"]'],
    ],
    ['long texts', { type: 'string', minLength: 2, maxLength: 3 }, ['"ab"', '"abü"'], ['"a"', '"abcd"']],
    ['definitions', { $ref: '#/$defs/N', $defs: { N: { type: 'integer' } } }, ['5'], ['"5"']],
    [
      'a definition that holds itself',
      { $ref: '#/$defs/N', $defs: { N: { type: 'array', items: { $ref: '#/$defs/N' } } } },
      ['[]', '[[],[[]]]'],
      ['[1]'],
    ],
    [
      'anything for what it cannot express',
      { allOf: [{ type: 'string' }, { minLength: 3 }] },
      ['"a"', '{"a":1}'],
      ['a'],
    ],
    ['a name with a tilde', { $ref: '#/$defs/a~0b', $defs: { 'a~b': { type: 'integer' } } }, ['5'], ['true']],
    [
      'definitions that begin with each other',
      {
        $ref: '#/$defs/A',
        $defs: { A: { $ref: '#/$defs/B' }, B: { anyOf: [{ $ref: '#/$defs/A' }, { type: 'integer' }] } },
      },
      ['5'],
      ['x'],
    ],
    [
      'definitions that begin with each other, one of them read inside the other first',
      {
        $ref: '#/$defs/A',
        $defs: {
          A: { anyOf: [{ type: 'object', properties: { b: { $ref: '#/$defs/B' } } }, { $ref: '#/$defs/B' }] },
          B: { anyOf: [{ $ref: '#/$defs/A' }, { type: 'string' }] },
        },
      },
      ['"x"', '{"b":"x"}', '{"b":{"b":"x"}}'],
      ['x'],
    ],
    ['anything for what is elsewhere', { $ref: 'https://elsewhere' }, ['1', '[]'], ['x']],
    [
      'anything for a definition that is only itself',
      { $ref: '#/$defs/N', $defs: { N: { $ref: '#/$defs/N' } } },
      ['1'],
      ['x'],
    ],
  ])('%s', async (_, schema, taken, refused) => {
    for (const text of taken) expect([text, await takes({ schema }, text)]).toEqual([text, true]);
    for (const text of refused) expect([text, await takes({ schema }, text)]).toEqual([text, false]);
  });

  test('is one that llama.cpp takes, however the definitions refer to each other', async () => {
    const names = ['A', 'B', 'C', 'D'];
    const reference = fc.constantFrom(...names).map((name) => ({ $ref: `#/$defs/${name}` }));
    const { definition } = fc.letrec((tie) => ({
      definition: fc.oneof(
        { maxDepth: 3 },
        reference,
        fc.constant({ type: 'integer' }),
        fc.array(tie('definition'), { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
        tie('definition').map((items) => ({ type: 'array', items })),
        tie('definition').map((inner) => ({ type: 'object', properties: { inner }, required: ['inner'] })),
      ),
    }));
    await fc.assert(
      fc.asyncProperty(fc.tuple(definition, definition, definition, definition), reference, async (four, root) => {
        const schema = { ...root, $defs: Object.fromEntries(names.map((name, at) => [name, four[at]])) };
        expect(await takes({ schema }, 'x')).toBe(false);
      }),
    );
  });

  test('begins in the middle of what stands before its text, with white space as the model likes', async () => {
    for (const text of ['{"path":"a"}', ' {"path":"a"}', '\n{"path":"a"}'])
      expect(await takes({ schema: file, lead: '' }, text)).toBe(true);
    for (const text of ['":{"path":"a"}', '": {"path":"a"}'])
      expect(await takes({ schema: file, lead: '":' }, text)).toBe(true);
    expect(await takes({ schema: file }, ' {"path":"a"}')).toBe(false);
    expect(await takes({ schema: file, lead: ':' }, '{"path":"a"}')).toBe(false);
  });

  test('ends with the object whose last value its text is', async () => {
    const rule = { schema: file, lead: '":', closes: true };
    for (const text of ['":{"path":"a"}}', '": {"path":"a"} }', '":{"path":"a"}, "id": "x"}'])
      expect(await takes(rule, text)).toBe(true);
    expect(await takes(rule, '":{"path":"a"}')).toBe(false);
  });

  test('takes every JSON text where the schema allows all', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.json({ maxDepth: 3 }).filter((text) => !/\d[eE.]\d{17}|\d{17}/.test(text)),
        async (text) => {
          expect([text, await takes({ schema: {} }, text)]).toEqual([text, true]);
        },
      ),
    );
  });
});

describe("a grammar of calls in Gemma's form", () => {
  const tools = new Map<string, object>([
    ['read', { properties: { path: { type: 'string' } }, required: ['path'], additionalProperties: false }],
    [
      'read_file',
      {
        type: 'object',
        properties: {
          path: { type: 'string' },
          mode: { enum: ['fast', 'slow'] },
          lines: { type: 'array', items: { type: 'integer' } },
          'odd name': { type: 'boolean' },
          inner: { type: 'object', properties: { b: { type: 'null' }, a: { type: 'number' } }, required: ['b'] },
        },
        required: ['path'],
      },
    ],
    ['now', { type: 'object', additionalProperties: false }],
    ['any', {}],
  ]);
  const gemma = { calls: tools, mark: '<|"|>' };
  const q = (text: string): string => `<|"|>${text}<|"|>`;

  test.each([
    `call:read{path:${q('a')}}`,
    `call:read_file{path:${q('')}}`,
    `call:read_file{lines:[1, -2],mode:${q('slow')},${q('odd name')}:true,path:${q('<|<|"|a<')}}`,
    `call:read_file{inner:{a:1.5,b:null},path:${q('"\\}\n')}}`,
    'call:now{}',
    `call:any{x:{y:[${q('z')},{}]},z:-1e3}`,
  ])('has the tools and their arguments, in the order of the alphabet: %s', async (text) => {
    expect(await takes(gemma, text)).toBe(true);
  });

  test.each([
    'call:read{}',
    `call:other{path:${q('a')}}`,
    `call:read{path:${q('a')},mode:${q('slow')}}`,
    `call:read_file{mode:${q('other')},path:${q('a')}}`,
    `call:read_file{path:${q('a')},lines:[1]}`,
    'call:read{path:"a"}',
    'call:read{path:a}',
    `call:read{path:${q(q('a'))}}`,
    'call:now{a:1}',
    `read{path:${q('a')}}`,
  ])('has nothing else: %s', async (text) => {
    expect(await takes(gemma, text)).toBe(false);
  });

  test.each(['<|"|>', '<escape>', 'aab'])(
    'has every text up to the first mark %s, and what it takes is read as that text',
    async (mark) => {
      const piece = fc.constantFrom(...Array.from(mark), mark.slice(0, 2), mark.slice(0, -1), 'x', '\n', 'ü');
      const written = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));
      await fc.assert(
        fc.asyncProperty(written, async (text) => {
          const call = `call:read{path:${mark}${text}${mark}}`;
          // A text whose end begins the mark is read up to there.
          const isRead = `${text}${mark}`.indexOf(mark) === text.length;
          expect(await takes({ calls: tools, mark }, call)).toBe(isRead);
        }),
      );
    },
  );
});
