import { describe, expect, test } from 'vitest';
import { gbnfSchema } from '../../../src/embedded/worker/gbnfSchema.ts';

describe('a JSON schema for a grammar', () => {
  test.each<[string, object, object]>([
    [
      'objects have their named properties, and no others',
      { type: 'object', properties: { a: { type: 'string', maxLength: 5, pattern: 'x' } }, $schema: 'x', title: 'T' },
      { type: 'object', properties: { a: { type: 'string', maxLength: 5 } } },
    ],
    ['an object without names has any', { type: 'object' }, { type: 'object', additionalProperties: true }],
    [
      'an object that must be empty is empty',
      { type: 'object', additionalProperties: false },
      { type: 'object', properties: {} },
    ],
    ['choices', { anyOf: [{ const: 1 }, { type: 'null' }] }, { oneOf: [{ const: 1 }, { type: 'null' }] }],
    ['several types', { type: ['integer', 'null'] }, { oneOf: [{ type: 'integer' }, { type: 'null' }] }],
    ['values', { type: 'string', enum: ['a', 'b'] }, { enum: ['a', 'b'] }],
    [
      'lists',
      { type: 'array', items: { type: 'number' }, minItems: 1 },
      { type: 'array', items: { type: 'number' }, minItems: 1 },
    ],
    ['definitions', { $ref: '#/$defs/N', $defs: { N: { type: 'integer' } } }, { type: 'integer' }],
  ])('%s', (_, schema, expected) => {
    expect(gbnfSchema(schema)).toEqual(expected);
  });

  test('what a grammar cannot express is any value', () => {
    const anything = gbnfSchema({ allOf: [{ type: 'string' }] });
    expect(anything).toMatchObject({ oneOf: expect.arrayContaining([{ type: 'object', additionalProperties: true }]) });
    for (const odd of [{ $ref: 'https://elsewhere' }, { type: 'picture' }, null, 5])
      expect(gbnfSchema(odd)).toEqual(anything);
    const endless = { $ref: '#/$defs/N', $defs: { N: { type: 'array', items: { $ref: '#/$defs/N' } } } };
    expect(JSON.stringify(gbnfSchema(endless)).length).toBeLessThan(10_000);
  });
});
