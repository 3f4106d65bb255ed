import { describe, expect, test } from 'vitest';
import { settingValue } from '../../src/vscode/settings/settingValue.ts';

describe('V5 a setting is always a usable value', () => {
  test('a number out of range is brought into it, and what is no number is the default', () => {
    const values = [100, 0, -5, 1e9, 2.6, Number.NaN, '100', null, undefined];
    expect(values.map((value) => settingValue('cwm.answer.maxTokens', value))).toEqual([
      100, 1, 1, 32_768, 3, 256, 256, 256, 256,
    ]);
  });

  test('a choice that does not exist is the default', () => {
    expect(settingValue('cwm.logLevel', 'error')).toBe('error');
    expect(settingValue('cwm.logLevel', 'loud')).toBe('info');
  });

  test('a text is trimmed, and an empty engine leaves the choice to the store', () => {
    expect(settingValue('cwm.engine', ' http://localhost:8000 ')).toBe('http://localhost:8000');
    expect(settingValue('cwm.engine', ' ')).toBe('');
    expect(settingValue('cwm.engine', 8000)).toBe('');
    expect(settingValue('cwm.storageDirectory', '~/cwm')).toBe('~/cwm');
  });
});
