import { describe, expect, test } from 'vitest';
import { readFields } from '../../src/base/fields.ts';

const table = { name: 'string', count: 'number?', paths: 'strings?', on: 'boolean?' } as const;

describe('fields of an object', () => {
  test('are read without the others, and a missing one that may be missing is left out', () => {
    expect(readFields({ name: 'x', count: undefined, other: 1 }, table)).toStrictEqual({ name: 'x' });
    const all = { name: '', count: 0, paths: ['a'], on: false };
    expect(readFields(all, table)).toStrictEqual(all);
  });

  test.each([
    {},
    { name: null },
    { name: 1 },
    { name: 'x', count: null },
    { name: 'x', count: '1' },
    { name: 'x', count: Number.NaN },
    { name: 'x', paths: 'a' },
    { name: 'x', paths: ['a', 1] },
    { name: 'x', on: 'true' },
    null,
    undefined,
    'name',
    [],
  ])('are null for %j', (value) => {
    expect(readFields(value, table)).toBeNull();
  });

  test('are never those of the prototype', () => {
    expect(readFields({}, { toString: 'string' })).toBeNull();
    expect(readFields({ toString: 'mine' }, { toString: 'string' })).toStrictEqual({ toString: 'mine' });
  });
});
