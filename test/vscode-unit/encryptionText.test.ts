import { describe, expect, test } from 'vitest';
import { turnedText } from '../../src/vscode/render/encryptionText.ts';

const on = { state: 'on', keyId: '0123456789abcdef', keyFile: '/stick/store.key' } as const;
const off = { state: 'off', keyId: null, keyFile: null } as const;

describe('S0-61 what is said once the storage is as wanted', () => {
  test('where the key lies, and to keep a copy of it, also when nothing had to be done', () => {
    for (const changed of [true, false]) {
      expect(turnedText({ ...on, changed })).toContain('Its key lies in /stick/store.key: keep a copy elsewhere');
    }
    expect(turnedText({ ...on, changed: false })).toContain('is encrypted already');
    expect(turnedText({ ...on, changed: true })).not.toContain('already');
  });

  test('that the key is still of use after a decryption, and nothing of a key where there was none', () => {
    expect(turnedText({ ...off, changed: true })).toContain('copies made before need it');
    expect(turnedText({ ...off, changed: false })).toBe('The storage is not encrypted.');
  });
});
