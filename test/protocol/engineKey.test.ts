import { expect, test } from 'vitest';
import { parseEngineKey } from '../../src/protocol/schemas/engineKey.ts';

test('K10 white space and line ends around an API key are no part of it', () => {
  for (const given of ['sk-abc', 'sk-abc\n', ' sk-abc\r\n', '\uFEFFsk-abc\t'])
    expect(parseEngineKey(given)).toBe('sk-abc');
  for (const given of [undefined, '', ' \n']) expect(parseEngineKey(given)).toBeUndefined();
});

test('K10 a key that no header can carry is named as the fault, and not shown', () => {
  for (const [key, fault] of [
    ['“sk-abc”', 'quotes'],
    ['sk-\nabc', 'line end'],
    ['sk abc', 'white space'],
    ['sk-äbc', 'ASCII'],
  ] as const) {
    expect(() => parseEngineKey(key)).toThrow(expect.objectContaining({ code: 'CWM-1003' }));
    expect(() => parseEngineKey(key)).toThrow(new RegExp(`API key.*${fault}`));
    expect(() => parseEngineKey(key)).not.toThrow(new RegExp(key));
  }
});
